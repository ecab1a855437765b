# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether it is the account, the image or the machine: told by phrases, not by names of images."""

from __future__ import annotations

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.account_words import (
    account_refusal,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.images import (
    image_refusal,
)
from tests.unit.market.conftest import Market

CREDIT, PAYMENT, SPEND, RENT = "lacks credit", "payment method", "spends as fast", "may not rent"
LOGIN, NO_IMAGE = "without a login", "no such image"

#: What was seen or is documented, and the same with other names in it.
OF_THE_ACCOUNT = {
    '{"success":false,"error":"insufficient_credit","msg":"Your account lacks credit"}': CREDIT,
    "Your account lacks credit; see the billing page.": CREDIT,
    'vastai CreateInstance failed (HTTP 400): {"error":"insufficient_credit"}': CREDIT,
    "Insufficient funds in the wallet": CREDIT,
    "insufficient balance": CREDIT,
    "INSUFFICIENT_FUNDS": CREDIT,
    "Insufficient funds": CREDIT,
    "Not enough funds": CREDIT,
    "Not enough credits to start": CREDIT,
    "You need at least $1 in your balance to deploy an instance": CREDIT,
    "Your credit balance is too low": CREDIT,
    "402 Payment Required": CREDIT,
    "payment_required": CREDIT,
    "account overdrawn: payment required to pull": CREDIT,
    "denied: account acme: payment required to pull images": CREDIT,
    "Please top up your wallet.": CREDIT,
    "You are out of credit.": CREDIT,
    "Add more credit to go on": CREDIT,
    "missing_billing": PAYMENT,
    "Please add a payment method.": PAYMENT,
    "Billing information is missing": PAYMENT,
    "no credit card on file": PAYMENT,
    "spend_rate_limit": SPEND,
    "Spend rate limit exceeded.": SPEND,
    "You have reached your spending limit": SPEND,
    "Your account is suspended": RENT,
    "account_disabled": RENT,
    "global/account-inactive": None,
    "The account has been deactivated.": RENT,
    "user was banned": RENT,
    "Verify your email first": RENT,
}
OF_NO_ACCOUNT = (
    "Invalid image billing-service:latest",
    "image acme/credit-model:1 is not allowed",
    "Invalid image credit:1",
    "image registry.example/credit/app@sha256:0123 was refused",
    "image ghcr.io/acme/insufficient-funds-demo is invalid",
    "image acme/payment_method:2 is no image",
    "unknown image 'no-credit/llm'",
    "image low-balance.example/x cannot be parsed",
    "Invalid value for disk: credit where credit is due",
    "load balance the requests",
    "the balancer is down",
    "accreditation is missing",
    "disk limit exceeded",
    "rate limit exceeded",
    "wallet-app:latest has no entrypoint",
    "image banned-words:3 failed",
    "No such image: acme/topup",
)
OF_THE_IMAGE = {
    "Error response from daemon: unauthorized: authentication required": LOGIN,
    "Error response from daemon: pull access denied for acme/billing-service, repository does not "
    "exist or may require 'docker login': denied: access to the resource is denied": LOGIN,
    "pull access denied for credit/app": LOGIN,
    'Head "https://ghcr.io/v2/acme/credit-model/manifests/1": denied': LOGIN,
    "manifest unknown": NO_IMAGE,
    "manifest for acme/credit-model:latest not found: manifest unknown": NO_IMAGE,
    "Error response from daemon: manifest for payment-method/x:1 not found": NO_IMAGE,
    "invalid reference format": NO_IMAGE,
    "no matching manifest for linux/amd64 in the manifest list entries": NO_IMAGE,
}
#: Of a machine, or of nobody.
OF_NO_IMAGE = (
    "No such image: acme/app:1",
    "Error response from daemon: No such image: billing-service",
    "OCI runtime create failed: nvidia-container-cli: driver error",
    "no space left on device",
    "permission denied: /dev/nvidia0",
    "account overdrawn: payment required to pull",
    "denied: account acme: payment required to pull images",
    "unauthorized: your account is suspended",
    "unauthorized: insufficient credits",
    "success, running vastai/base-image",
)


@pytest.mark.parametrize(("text", "cause"), OF_THE_ACCOUNT.items(), ids=list(OF_THE_ACCOUNT))
def test_what_the_account_lacks_is_told_apart(text: str, cause: str | None) -> None:
    refusal = account_refusal(text)
    assert (refusal is None) == (cause is None)
    assert refusal is None or str(cause) in refusal.cause
    assert image_refusal(text) is None


@pytest.mark.parametrize("text", OF_NO_ACCOUNT)
def test_the_name_of_an_image_makes_no_account_lack_anything(text: str) -> None:
    assert account_refusal(text) is None


@pytest.mark.parametrize(("text", "cause"), OF_THE_IMAGE.items(), ids=list(OF_THE_IMAGE))
def test_an_image_that_no_host_gets_is_to_blame_itself(text: str, cause: str) -> None:
    refusal = image_refusal(text)
    assert refusal is not None
    assert cause in refusal.cause
    assert account_refusal(text) is None


@pytest.mark.parametrize("text", OF_NO_IMAGE)
def test_an_image_is_not_to_blame_for_machines_and_accounts(text: str) -> None:
    assert image_refusal(text) is None


def test_an_offer_refused_for_an_image_called_credit_model_names_the_image(market: Market) -> None:
    body = {"success": False, "error": "invalid_args", "msg": "Invalid image acme/credit-model:1"}
    market.fault("reply", on="create", status=400, body=body, times=9)
    told = market.rent(image="acme/credit-model:1")["failure"]
    assert "lacks credit" not in told["cause"]
    assert "such as image" in told["remedy"]
