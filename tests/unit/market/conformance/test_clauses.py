# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The contract of ``market.providers.provider``, one clause each, for every provider.

``make conformance`` counts them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market.access.host_keys import derive
from ansible_collections.inferops.gpu.plugins.module_utils.market.errors import (
    CredentialError,
    MarketError,
    OfferGone,
    ProviderUnavailable,
    RateLimited,
    UnclearCreate,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.mark import (
    ROOM_FOR_SEAL,
    Mark,
    Seal,
    check_length,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.model import (
    DEAD,
    RUNNING,
    STOPPED,
    Offer,
    Order,
    Rental,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.provider import (
    HOST,
    NOBODY,
    PROVIDER,
    Provider,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.account import Account
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.options import (
    MARKET_OPTIONS,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.wish import Wish
from tests.unit.market.conformance.subjects import (
    NOT_CARRIED_OUT,
    REFUSING,
    TROUBLES,
    Simulated,
    Subject,
)
from tests.unit.market.conftest import PUBLIC_KEY

ANY = Wish(verified=False)
#: The calls that only ask, with an id where one is needed.
READS: dict[str, Callable[[Provider, str], Any]] = {
    "search": lambda provider, _id: provider.search(ANY),
    "list": lambda provider, _id: provider.list_rentals(),
    "get": lambda provider, rental_id: provider.get(rental_id),
    "check_credential": lambda provider, _id: provider.check_credential(),
}

CHANGES: dict[str, Callable[[Provider, str], None]] = {
    "release": lambda provider, rental_id: provider.release(rental_id),
    "attach_key": lambda provider, rental_id: provider.attach_key(
        rental_id, "ssh-ed25519 AAAAanother other@example"
    ),
}


def order(subject: Subject, name: str = "gpu-1") -> Order:
    now = int(subject.clock.now())
    mark = Mark.new("test", name, now + 3600, 3600, now)
    return Order(mark, subject.image, 20, PUBLIC_KEY, now)


def cheapest(subject: Subject) -> Offer:
    return min(subject.provider().search(ANY), key=lambda offer: offer.price_usd_per_hour)


def rented(subject: Subject, name: str = "gpu-1") -> Rental:
    """A rental, as it is listed."""
    provider = subject.provider()
    rental_id = provider.rent(cheapest(subject), order(subject, name))
    subject.settle()
    return next(one for one in provider.list_rentals() if one.id == rental_id)


def with_fields(node: Any, rental_id: str, odd: Mapping[str, Any]) -> Any:
    """An answer in which the row of a rental has these values, wherever it stands."""
    if isinstance(node, list):
        return [with_fields(one, rental_id, odd) for one in node]
    if not isinstance(node, dict):
        return node
    if str(node.get("id")) == rental_id:
        return {**node, **odd}
    return {name: with_fields(one, rental_id, odd) for name, one in node.items()}


def sound(value: Any) -> bool:
    """Whether *value* is told: neither an empty text nor a number that is none."""
    if isinstance(value, float):
        return math.isfinite(value) and value >= 0
    return value != ""


# What a class says of itself.


def test_it_says_what_it_logs_in_with_and_where_that_is_read(subject: Subject) -> None:
    for credential in subject.kind.credentials:
        assert credential.environment
        assert all(name.isupper() for name in credential.environment)
    assert subject.kind.name.isidentifier()
    assert subject.kind.url_env.isupper()


def test_it_says_who_ends_a_rental_and_what_it_can(subject: Subject) -> None:
    kind = subject.kind
    assert kind.enforces_deadline in (HOST, PROVIDER, NOBODY)
    changes = kind.change_mark is not Provider.change_mark
    assert changes or not kind.can_change_mark
    for method in ("stop", "start"):
        own = getattr(kind, method) is not getattr(Provider, method)
        assert own or not kind.can_stop


def test_its_field_has_room_for_a_mark(subject: Subject) -> None:
    check_length("production", "gpu-1", subject.kind.label_length)


def test_what_is_usual_there_is_what_the_options_take(subject: Subject) -> None:
    usual = subject.kind.usual
    assert usual.image
    assert subject.kind.ssh_user
    assert usual.image_gib > 0
    assert usual.disk_gib > 0
    assert usual.min_reliability is None or 0 <= usual.min_reliability <= 1
    # What its offers do not tell can be no floor.
    offers = subject.provider().search(ANY)
    for floor, told in (
        (usual.driver_version, "driver_version"),
        (usual.min_reliability, "reliability"),
        (usual.longest_download_hours, "download_mbit_per_second"),
    ):
        assert floor is None or any(getattr(offer, told) is not None for offer in offers)


# Search.


def test_a_search_finds_what_fulfils_the_wish(subject: Subject) -> None:
    wish = Wish(verified=False, vram_gib=24, max_price_usd_per_hour=3)
    matches, _reasons = wish.select(subject.provider().search(wish))
    assert matches


def test_an_offer_is_told_in_our_units_and_words(subject: Subject) -> None:
    for offer in subject.provider().search(ANY):
        assert offer.provider == subject.kind.name
        assert isinstance(offer.id, str)
        assert offer.price_usd_per_hour > offer.disk_usd_per_hour >= 0
        assert offer.gpu_count >= 1
        assert offer.gpu_name
        assert offer.vram_gib is None or 4 < offer.vram_gib < 1000
        assert offer.reliability is None or 0 <= offer.reliability <= 1
        assert offer.country is None or len(offer.country) == 2


def test_what_an_offer_does_not_tell_is_none(subject: Subject) -> None:
    for offer in subject.provider().search(ANY):
        untold = [field.name for field in fields(offer) if not sound(getattr(offer, field.name))]
        assert untold == []
        assert (offer.machine_id is None) != subject.kind.tells_machines


def test_offers_of_one_search_have_ids_of_their_own(subject: Subject) -> None:
    ids = [offer.id for offer in subject.provider().search(ANY)]
    assert len(ids) == len(set(ids)) > 0


def test_the_disk_that_is_wished_for_is_in_the_price(subject: Subject) -> None:
    small, large = (
        {offer.id: offer for offer in subject.provider().search(replace(ANY, disk_gib=disk))}
        for disk in (10, 200)
    )
    both = small.keys() & large.keys()
    assert both
    assert all(large[one].price_usd_per_hour >= small[one].price_usd_per_hour for one in both)


# Create.


def test_a_create_brings_its_mark_from_the_start(subject: Subject) -> None:
    provider, wanted = subject.provider(), order(subject)
    rental_id = provider.rent(cheapest(subject), wanted)
    assert isinstance(rental_id, str)
    assert subject.rentals() == {rental_id}
    (listed,) = provider.list_rentals()
    assert (listed.id, listed.mark) == (rental_id, wanted.mark)
    assert listed.label == wanted.mark.encode()


def test_an_offer_that_is_gone_is_told_as_such_and_rents_nothing(subject: Subject) -> None:
    offer = cheapest(subject)
    subject.take(offer.id)
    with pytest.raises(OfferGone):
        subject.provider().rent(offer, order(subject))
    assert subject.rentals() == set()


@pytest.mark.parametrize("trouble", sorted(set(TROUBLES) - {*REFUSING, *NOT_CARRIED_OUT}))
def test_a_create_is_never_sent_twice(subject: Subject, trouble: str) -> None:
    offer = cheapest(subject)
    subject.spoil("create", trouble)
    with pytest.raises(UnclearCreate):
        subject.provider().rent(offer, order(subject))
    assert subject.creates() == 1


@pytest.mark.parametrize(
    "trouble", ["", "500", "502 with a page", "404 with a page", "200 and nothing"]
)
def test_a_create_whose_answer_is_lost_is_unclear_and_found_by_its_mark(
    subject: Subject, trouble: str
) -> None:
    offer, wanted = cheapest(subject), order(subject)
    subject.lose_create(trouble)
    with pytest.raises(UnclearCreate):
        subject.provider().rent(offer, wanted)
    (listed,) = subject.provider().list_rentals()
    assert listed.mark == wanted.mark


def test_a_create_that_comes_too_often_is_certainly_not_carried_out(subject: Subject) -> None:
    offer = cheapest(subject)
    subject.spoil("create", "429")
    with pytest.raises(RateLimited):
        subject.provider().rent(offer, order(subject))
    assert subject.rentals() == set()


def test_a_create_with_another_key_rents_nothing(subject: Subject) -> None:
    offer = cheapest(subject)
    with pytest.raises(CredentialError):
        subject.provider("another-key").rent(offer, order(subject))
    assert subject.rentals() == set()


def test_a_host_key_travels_with_the_create_where_that_is_promised(subject: Subject) -> None:
    pytest.importorskip("cryptography")
    wanted = order(subject)
    key = derive("secret", wanted.mark, 1)
    subject.provider().rent(cheapest(subject), replace(wanted, host_key=key))
    public = key.public.split()[1]
    assert (public in subject.carried()) == subject.kind.delivers_host_key


def test_the_deadline_travels_with_the_create_where_the_host_enforces_it(subject: Subject) -> None:
    wanted = order(subject)
    subject.provider().rent(cheapest(subject), wanted)
    on_the_host = str(wanted.mark.deadline) in subject.carried()
    # Who is not counted on may be sent along all the same.
    assert on_the_host or subject.kind.enforces_deadline != HOST


def test_no_host_ever_gets_the_accounts_key(subject: Subject) -> None:
    rented(subject)
    assert subject.key not in subject.carried()


# Lists and reads.


def test_list_and_read_agree(subject: Subject) -> None:
    rental = rented(subject)
    assert subject.provider().get(rental.id) == rental


def test_a_list_has_every_rental(subject: Subject) -> None:
    provider = subject.provider()
    made = set()
    for number in range(28):
        made.add(provider.rent(cheapest(subject), order(subject, f"gpu-{number}")))
    assert {rental.id for rental in provider.list_rentals()} == made == subject.rentals()


def test_a_rental_is_told_in_our_units_and_words(subject: Subject) -> None:
    rental = rented(subject)
    assert rental.provider == subject.kind.name
    assert rental.status == RUNNING
    assert rental.status not in DEAD
    assert rental.price_usd_per_hour is None or rental.price_usd_per_hour > 0
    assert rental.started_at is None or abs(rental.started_at - subject.clock.now()) < 600
    assert rental.ssh
    assert all(isinstance(way.port, int) and way.host for way in rental.ssh)
    assert rental.ssh_user == subject.kind.ssh_user
    assert rental.console_url.startswith(("http://", "https://"))
    assert (rental.machine_id is None) != subject.kind.tells_machines
    assert Rental.from_dict(rental.to_dict()) == rental


def test_what_a_rental_does_not_tell_is_none(subject: Subject) -> None:
    rental = rented(subject)
    may_be_empty = {"seniority", "status_text", "label"}
    for field in fields(rental):
        assert field.name in may_be_empty or sound(getattr(rental, field.name)), field.name


def test_the_first_that_was_created_comes_first(subject: Subject) -> None:
    made = []
    for _twin in range(4):
        made.append(subject.provider().rent(cheapest(subject), order(subject)))
        subject.clock.sleep(60)
    listed = sorted(subject.provider().list_rentals(), key=lambda rental: rental.precedence)
    assert [rental.id for rental in listed] == made


def test_a_rental_that_never_was_is_gone(subject: Subject) -> None:
    rental = rented(subject)
    unknown = rental.id.translate(str.maketrans("0123456789", "9876543210"))
    assert subject.provider().get(unknown) is None


def test_a_rental_that_was_released_is_gone_from_reads_and_lists(subject: Subject) -> None:
    rental = rented(subject)
    provider = subject.provider()
    provider.release(rental.id)
    assert subject.rentals() == set()
    left = provider.get(rental.id)
    assert left is None or left.status in DEAD
    assert all(one.status in DEAD for one in provider.list_rentals())


@pytest.mark.parametrize("label", ["our demo", "", "{mark} keep", "keep {mark}"])
def test_a_label_that_was_written_over_leaves_the_mark_where_a_second_one_is_kept(
    subject: Subject, label: str
) -> None:
    rental = rented(subject)
    subject.relabel(rental.id, label.format(mark=rental.label))
    kept = rental.mark if subject.kind.keeps_second_mark else None
    (listed,) = subject.provider().list_rentals()
    read = subject.provider().get(rental.id)
    assert read is not None
    assert listed.mark == read.mark == kept
    assert listed.is_written_over == subject.kind.keeps_second_mark


#: What may stand where a label is a text. Shadeform's labels are lists of texts.
ODD_LABELS = (17, -1.5, True, [17], [["x"]], {"text": "x"}, None)


@pytest.mark.parametrize("odd", ODD_LABELS, ids=repr)
def test_a_label_that_is_no_text_hides_neither_its_rental_nor_others(
    subject: Subject, odd: Any
) -> None:
    if not isinstance(subject, Simulated):
        return
    rental, other = rented(subject), rented(subject, "gpu-2")
    changed = dict.fromkeys(subject.dialect.shows["odd labels"], odd)
    with subject.tampered(lambda answer: with_fields(answer, rental.id, changed)):
        listed = {one.id: one for one in subject.provider().list_rentals()}
        read = subject.provider().get(rental.id)
    assert {*listed} == {rental.id, other.id}
    assert listed[other.id] == other
    # Verda's second one is among them.
    keeps = subject.kind.keeps_second_mark and "description" not in changed
    kept = rental.mark if keeps else None
    for shown in (read, listed[rental.id]):
        assert shown is not None
        assert (shown.mark, shown.status) == (kept, rental.status)
        # What nobody has written is null at some.
        assert shown.has_odd_label or odd is None


def test_who_has_the_secret_believes_no_mark_without_the_seal(subject: Subject) -> None:
    if subject.kind.label_length < ROOM_FOR_SEAL:
        return
    provider, wanted = subject.provider(), order(subject)
    provider.seal = Seal("s" * 20)
    sealed = provider.seal.put_on(order(subject, "gpu-2").mark)
    for mark in (wanted.mark, sealed):
        provider.rent(cheapest(subject), replace(wanted, mark=mark))
    listed = provider.list_rentals()
    assert {one.mark for one in listed} == {None, sealed}
    assert {one.claim for one in listed} == {wanted.mark, None}


def test_what_is_charged_names_every_rental_that_bills(subject: Subject) -> None:
    if not subject.kind.tells_charges:
        return
    first, second = rented(subject, "gpu-1"), rented(subject, "gpu-2")
    provider = subject.provider()
    provider.release(first.id)
    subject.clock.sleep(3600)
    charged = provider.charged(subject.clock.now() - 86400)
    told = {rental_id: charge.label for rental_id, charge in charged.items()}
    # By its label where bills have one; what has ended may be among them.
    labels = {first.id: (first.label, None), second.id: (second.label, None)}
    assert all(label in labels[rental_id] for rental_id, label in told.items())
    assert [*told][-1] == second.id
    assert charged[second.id].usd > 0


def test_what_a_list_misses_is_known_by_what_is_charged(subject: Subject) -> None:
    if not subject.kind.tells_charges:
        return
    rental = rented(subject)
    subject.clock.sleep(3600)
    account = Account(subject.provider(), "test", subject.clock)
    assert [one.id for one in account.unlisted([], "gpu-1")] == [rental.id]
    assert account.unlisted([], "gpu-2") == []
    assert account.unlisted([rental], "gpu-1") == []


def test_what_a_rental_was_billed_is_told_also_after_its_end(subject: Subject) -> None:
    if not subject.kind.tells_bill:
        return
    first, second = rented(subject, "gpu-1"), rented(subject, "gpu-2")
    provider = subject.provider()
    subject.clock.sleep(3600)
    provider.release(first.id)
    for rental in (first, second):
        billed = provider.billed_usd(rental.id, rental.since)
        assert billed is not None
        assert sound(billed)
        assert billed > 0
    assert provider.billed_usd("99999999", first.since) is None


def test_what_the_account_has_is_told_as_a_number_and_changes_nothing(subject: Subject) -> None:
    if not subject.kind.tells_account:
        return
    account = subject.provider().account()
    assert account.credit_usd is None or sound(account.credit_usd)
    assert account.may_rent is not False
    assert subject.creates() == 0


@pytest.mark.parametrize("trouble", sorted(set(TROUBLES) - set(REFUSING)))
def test_charges_that_cannot_be_read_are_no_empty_bill(subject: Subject, trouble: str) -> None:
    if not subject.kind.tells_charges:
        return
    rented(subject)
    subject.spoil("charged", trouble)
    with pytest.raises(ProviderUnavailable):
        subject.provider().charged(subject.clock.now() - 86400)


def test_the_log_of_a_rental_is_told_where_that_is_promised(subject: Subject) -> None:
    rental, provider = rented(subject), subject.provider()
    if not subject.kind.tells_log:
        with pytest.raises(NotImplementedError):
            provider.log(rental.id, 20.0)
        return
    log = provider.log(rental.id, 20.0)
    assert "was started" in log.container
    assert subject.image in log.machine
    assert subject.rentals() == {rental.id}


@pytest.mark.parametrize("trouble", sorted(TROUBLES))
def test_an_answer_that_is_no_log_tells_nothing(subject: Subject, trouble: str) -> None:
    if not subject.kind.tells_log:
        return
    rental = rented(subject)
    subject.spoil("log", trouble)
    try:
        log = subject.provider().log(rental.id, 20.0)
    except MarketError:
        return
    assert (log.machine, log.container) == ("", "")


@pytest.mark.parametrize("trouble", sorted(TROUBLES))
@pytest.mark.parametrize("call", sorted(READS))
def test_an_answer_that_is_none_says_nothing(subject: Subject, call: str, trouble: str) -> None:
    """Above all it never says that there is nothing, or that a rental is gone."""
    rental = rented(subject)
    subject.spoil(call, trouble)
    expected: type[MarketError] = ProviderUnavailable
    if trouble in REFUSING:
        expected = CredentialError
    elif trouble in NOT_CARRIED_OUT:
        expected = RateLimited
    with pytest.raises(MarketError) as caught:
        READS[call](subject.provider(), rental.id)
    assert caught.type is expected


@pytest.mark.parametrize("call", sorted(READS))
def test_another_key_is_refused_by_every_call(subject: Subject, call: str) -> None:
    if call == "search" and not subject.kind.credentials:
        pytest.skip("everybody may search")
    with pytest.raises(CredentialError):
        READS[call](subject.provider("another-key"), "1")


# Change and end.


def test_a_release_can_be_repeated(subject: Subject) -> None:
    rental = rented(subject)
    for _again in range(3):
        subject.provider().release(rental.id)
    assert subject.rentals() == set()


def test_a_release_ends_nothing_else(subject: Subject) -> None:
    first, second = rented(subject, "gpu-1"), rented(subject, "gpu-2")
    subject.provider().release(first.id)
    assert subject.rentals() == {second.id}


@pytest.mark.parametrize("trouble", sorted(TROUBLES))
@pytest.mark.parametrize("call", sorted(CHANGES))
def test_what_was_not_confirmed_is_an_error(subject: Subject, call: str, trouble: str) -> None:
    if call == "attach_key" and not subject.kind.attaches_keys:
        return
    rental = rented(subject)
    subject.spoil(call, trouble)
    with pytest.raises((CredentialError, ProviderUnavailable)):
        CHANGES[call](subject.provider(), rental.id)


def test_a_mark_is_replaced_where_that_is_promised(subject: Subject) -> None:
    rental, provider = rented(subject), subject.provider()
    assert rental.mark
    moved = replace(rental.mark, deadline=rental.mark.deadline + 7200)
    if not subject.kind.can_change_mark:
        with pytest.raises(NotImplementedError):
            provider.change_mark(rental.id, moved)
        return
    provider.change_mark(rental.id, moved)
    seen = provider.get(rental.id)
    assert seen is not None
    assert seen.mark == moved
    assert [one.mark for one in provider.list_rentals()] == [moved]


def test_a_rental_stands_still_and_runs_again_where_that_is_promised(subject: Subject) -> None:
    rental, provider = rented(subject), subject.provider()
    if not subject.kind.can_stop:
        for change in (provider.stop, provider.start):
            with pytest.raises(NotImplementedError):
                change(rental.id)
        return
    for _twice in range(2):
        provider.stop(rental.id)
    seen = provider.get(rental.id)
    assert seen is not None
    assert (seen.status, seen.mark) == (STOPPED, rental.mark)
    assert [one.status for one in provider.list_rentals()] == [STOPPED]
    for _twice in range(2):
        provider.start(rental.id)
    subject.settle()
    again = provider.get(rental.id)
    assert again is not None
    assert (again.status, again.mark) == (RUNNING, rental.mark)


def test_a_stopped_rental_whose_gpus_others_have_is_told_apart(subject: Subject) -> None:
    rental, provider = rented(subject), subject.provider()
    if not subject.kind.can_stop:
        return
    provider.stop(rental.id)
    subject.take_gpus(rental.id)
    with pytest.raises(OfferGone):
        provider.start(rental.id)
    assert subject.rentals() == {rental.id}


@pytest.mark.parametrize("trouble", sorted(TROUBLES))
@pytest.mark.parametrize("call", ["start", "stop"])
def test_a_stop_or_a_start_that_was_not_confirmed_is_an_error(
    subject: Subject, call: str, trouble: str
) -> None:
    rental, provider = rented(subject), subject.provider()
    if not subject.kind.can_stop:
        return
    subject.spoil(call, trouble)
    with pytest.raises((CredentialError, ProviderUnavailable)):
        getattr(provider, call)(rental.id)


def test_the_longest_mark_comes_back_whole(subject: Subject) -> None:
    for letters in range(126, 1, -1):
        scope, name = "s" * (letters // 2), "n" * (letters - letters // 2)
        try:
            check_length(scope, name, subject.kind.label_length)
            break
        except ValueError:
            continue
    wanted = order(subject)
    mark = replace(wanted.mark, scope=scope, name=name)
    subject.provider().rent(cheapest(subject), replace(wanted, mark=mark))
    assert [one.mark for one in subject.provider().list_rentals()] == [mark]


def test_a_key_can_be_attached_again(subject: Subject) -> None:
    rental = rented(subject)
    provider = subject.provider()
    provider.attach_key(rental.id, PUBLIC_KEY)
    provider.attach_key(rental.id, PUBLIC_KEY)
    provider.attach_key(rental.id, PUBLIC_KEY, again=True)


# Account and time.


def test_a_key_that_works_is_confirmed(subject: Subject) -> None:
    subject.provider().check_credential()


def test_a_person_is_shown_where_to_look(subject: Subject) -> None:
    assert subject.provider().console_url.startswith(("http://", "https://"))


def test_the_providers_clock_is_told(subject: Subject) -> None:
    provider = subject.provider()
    provider.list_rentals()
    assert abs(provider.clock_offset_seconds) < 5


def test_what_it_logs_in_with_are_options_that_no_log_shows(subject: Subject) -> None:
    for credential in subject.kind.credentials:
        assert MARKET_OPTIONS[credential.option]["no_log"]
