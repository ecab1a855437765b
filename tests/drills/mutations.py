# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mutations: each breaks one safety rule of the product, and names the tests that must notice.

``text`` stands exactly once in its file. A mutation is kept small and plausible: what a hurried
change could do.
"""

from __future__ import annotations

from dataclasses import dataclass

MARKET = "plugins/module_utils/market"
MODULES = "plugins/modules"
UNIT = "tests/unit/market"
RENTALS = f"{UNIT}/test_rentals.py"
LIFECYCLE = f"{UNIT}/test_lifecycle.py"
SCRIPT = f"{UNIT}/test_start_script.py"
PROBE = f"{UNIT}/test_ssh_probe.py"
WAITING = f"{UNIT}/test_waiting.py"
LIMITED = f"{UNIT}/test_limits.py"
TRANSPORT = f"{UNIT}/test_transport.py"
SHARING = f"{UNIT}/test_sharing.py"
RULES = "tests/unit/drills/test_rules.py"


@dataclass(frozen=True)
class Mutation:
    """One broken rule. ``tests`` are files or test ids, as pytest takes them.

    At least so many of them must notice.
    """

    name: str
    breaks: str
    file: str
    text: str
    replacement: str
    tests: tuple[str, ...]
    least_red: int = 1

    def applied_to(self, source: str) -> str:
        """The broken source. Raises ValueError unless the text stands there exactly once."""
        count = source.count(self.text)
        if count != 1:
            raise ValueError(f"its text stands {count} times in {self.file}: {self.text!r}")
        return source.replace(self.text, self.replacement)


#: P2: what an answer means.
ANSWERS = (
    Mutation(
        "any-404-is-gone",
        "a revoked key makes every rental look released",
        f"{MARKET}/providers/vastai.py",
        'return response.status == 404 and data.get("error") in ("no_such_instance", "not_found")',
        "return response.status == 404",
        (f"{RENTALS}::test_an_unknown_404_is_not_gone",),
    ),
    Mutation(
        "first-page-only",
        "the rentals of later pages are never seen again",
        f"{MARKET}/providers/vastai.py",
        "            if not token:\n"
        '                return self._complete(rows, data.get("total_instances"))\n',
        "            return [self._rental(row) for row in rows]\n",
        (f"{RENTALS}::test_every_page_of_the_list_is_read",),
    ),
    Mutation(
        "odd-row-hides-the-account",
        "one odd row of a stranger keeps every rental from being released",
        f"{MARKET}/providers/vastai.py",
        "return [self._listed(row) for row in rows]",
        "return [self._rental(row) for row in rows]",
        (
            f"{LIMITED}::test_a_strangers_row_that_stays_odd_is_in_nobodys_way",
            f"{LIMITED}::test_a_row_of_ours_that_stays_odd_is_named_and_can_still_be_released",
        ),
    ),
    Mutation(
        "token-ignored",
        "no account with more than one page can be listed",
        f"{MARKET}/providers/vastai.py",
        'token = data.get("next_token")',
        "token = None",
        (f"{RENTALS}::test_every_page_of_the_list_is_read",),
    ),
    Mutation(
        "total-ignored",
        "a list that lost a page counts as complete",
        f"{MARKET}/providers/vastai.py",
        "not isinstance(total, int) or None in ids or len(ids) != total",
        "None in ids",
        (f"{RENTALS}::test_a_short_list_is_not_trusted",),
    ),
    Mutation(
        "null-list-is-empty",
        "an answer without a list counts as an empty account",
        f"{MARKET}/providers/vastai.py",
        'page = data.get("instances")\n',
        'page = data.get("instances") or []\n',
        (f"{RULES}::test_a_list_that_only_looks_empty_is_not_believed",),
    ),
    Mutation(
        "failed-answer-believed",
        "an answer that says that it failed counts as an empty account",
        f"{MARKET}/providers/vastai.py",
        'if not isinstance(data, dict) or data.get("success") is False:',
        "if not isinstance(data, dict):",
        (f"{RULES}::test_a_list_that_only_looks_empty_is_not_believed",),
    ),
    Mutation(
        "missing-row-is-gone",
        "an answer about nothing counts as proof that the rental is gone",
        f"{MARKET}/providers/vastai.py",
        'row = data.get("instances", "")',
        'row = data.get("instances")',
        (f"{RULES}::test_a_read_that_shows_no_such_rental_does_not_say_that_it_is_gone",),
    ),
    Mutation(
        "another-row-accepted",
        "another rental's row is taken for the one that was asked for",
        f"{MARKET}/providers/vastai.py",
        'if not isinstance(row, dict) or str(row.get("id")) != rental_id:',
        "if not isinstance(row, dict):",
        (f"{RULES}::test_a_read_that_shows_no_such_rental_does_not_say_that_it_is_gone",),
    ),
    Mutation(
        "bad-key-in-404-unseen",
        "a key that is refused by 404 counts as a hiccup",
        f"{MARKET}/providers/vastai.py",
        "if not 200 <= response.status < 300 and any(words in said for words in _BAD_KEY):",
        "if False:",
        (f"{RENTALS}::test_an_unknown_404_is_not_gone",),
    ),
    Mutation(
        "stale-503-unknown",
        "a stale offer told by 503 ends the run instead of taking the next one",
        f"{MARKET}/providers/vastai.py",
        "return _STALE in response.text.casefold()",
        "return False",
        (f"{RULES}::test_an_offer_that_is_stale_by_503_takes_the_next_one",),
    ),
    Mutation(
        "any-503-is-stale",
        "a create that may have been carried out is followed by a second one",
        f"{MARKET}/providers/vastai.py",
        "return _STALE in response.text.casefold()",
        "return response.status == 503",
        (f"{RENTALS}::test_a_503_is_never_taken_for_a_stale_offer",),
    ),
    Mutation(
        "id-beside-error-ignored",
        "a rental that was made beside an error bills unseen",
        f"{MARKET}/providers/vastai.py",
        "        if contract:\n            raise UnclearCreate(",
        "        if False:\n            raise UnclearCreate(",
        (f"{RENTALS}::test_an_error_beside_an_id_leaves_no_stray",),
    ),
    Mutation(
        "stopped-instance-accepted",
        "a lost race leaves a stopped rental that bills its disk",
        f"{MARKET}/providers/vastai.py",
        '"cancel_unavail": True,',
        '"cancel_unavail": False,',
        (f"{RULES}::test_a_lost_race_never_leaves_a_stopped_rental",),
    ),
    Mutation(
        "damaged-row-crashes",
        "a row of wrong types ends the run while a rental bills",
        f"{MARKET}/providers/vastai.py",
        "        except _DAMAGED as error:\n",
        "        except ZeroDivisionError as error:\n",
        (f"{LIMITED}::test_odd_rows_after_a_create_are_looked_at_again",),
    ),
    Mutation(
        "gateway-page-believed",
        "a create that a gateway denies after it was done bills unseen",
        f"{MARKET}/providers/vastai.py",
        "return response.status != 408 and (own_words or offer_gone)",
        "return response.status != 408",
        (f"{LIMITED}::test_a_gateway_that_refuses_a_create_after_it_was_done_hides_no_rental",),
    ),
    Mutation(
        "gateway-json-believed",
        "a create that a gateway denies in JSON after it was done bills unseen",
        f"{MARKET}/providers/vastai.py",
        'own_words = said.get("success") is False or "error" in said',
        "own_words = isinstance(response.data, dict)",
        (f"{RENTALS}::test_a_gateways_refusal_of_a_create_that_was_carried_out_is_not_believed",),
    ),
    Mutation(
        "create-timeout-believed",
        "a create that was answered too late bills unseen",
        f"{MARKET}/providers/vastai.py",
        "return response.status != 408 and (own_words or offer_gone)",
        "return own_words or offer_gone",
        (f"{LIMITED}::test_a_gateway_that_refuses_a_create_after_it_was_done_hides_no_rental",),
    ),
    Mutation(
        "rate-limited-create-is-unclear",
        "a create that was certainly not carried out is told as money at stake",
        f"{MARKET}/providers/vastai.py",
        "        except RateLimited:\n            raise\n",
        "",
        (
            f"{TRANSPORT}::test_a_create_that_is_refused_for_its_rate_rents_nothing_and_blames_no_option",
        ),
    ),
)

#: P2: proof of absence.
PROOFS = (
    Mutation(
        "one-look-is-enough",
        "a destroyed rental that comes back counts as released",
        f"{MARKET}/rentals/presence.py",
        "if self.absent < 2:",
        "if self.absent < 1:",
        (f"{RULES}::test_a_rental_that_comes_back_at_once_is_released_again",),
    ),
    Mutation(
        "no-positive-control",
        "the empty answers that a revoked key gets count as proof",
        f"{MARKET}/rentals/presence.py",
        "            self._provider.check_credential()\n",
        "",
        (f"{LIFECYCLE}::test_presence_is_judged_by_bodies_and_a_key_that_works",),
    ),
    Mutation(
        "list-not-asked",
        "one wrong answer about the id is enough to call a rental gone",
        f"{MARKET}/rentals/presence.py",
        "if any(rental.id == self._rental_id for rental in self._provider.list_rentals()):",
        "if False:",
        (f"{RULES}::test_gone_takes_both_the_list_and_the_id",),
    ),
    Mutation(
        "id-not-asked",
        "a list that lags is enough to call a rental gone",
        f"{MARKET}/rentals/presence.py",
        "if self._provider.get(self._rental_id) is not None:",
        "if False:",
        (f"{RULES}::test_gone_takes_both_the_list_and_the_id",),
    ),
    Mutation(
        "error-counts-as-absent",
        "a provider that is down counts as proof",
        f"{MARKET}/rentals/presence.py",
        "            self.absent = 0\n            return Verdict(UNKNOWN, error.cause)",
        "            self.absent += 1\n            return Verdict(GONE, error.cause)",
        (f"{RULES}::test_gone_takes_both_the_list_and_the_id",),
    ),
    Mutation(
        "release-believed",
        "a destroy that did nothing counts as a release",
        f"{MARKET}/rentals/lifecycle.py",
        "                if verdict.presence == GONE:\n",
        "                if True:\n",
        (f"{RENTALS}::test_a_release_that_does_nothing_is_not_believed",),
    ),
    Mutation(
        "release-sent-once",
        "a destroy without effect is never repeated",
        f"{MARKET}/rentals/lifecycle.py",
        "                if not proof.absent:\n                    self._try_release(rental_id)",
        "                if _waited == 0:\n                    self._try_release(rental_id)",
        (f"{RENTALS}::test_a_release_without_effect_and_a_hiccup_are_overcome",),
    ),
    Mutation(
        "empty-list-is-empty-account",
        "an empty list under a revoked key counts as nothing rented",
        f"{MARKET}/rentals/lifecycle.py",
        "        if not listed:\n",
        "        if False:\n",
        (f"{LIFECYCLE}::test_an_empty_list_is_believed_only_with_a_key_that_works",),
    ),
    Mutation(
        "list-that-misses-a-rental-believed",
        "a list that lags hides a rental that the provider still shows by its id",
        f"{MARKET}/rentals/lifecycle.py",
        "if self._provider.get(rental_id) is not None:",
        "if False:",
        (f"{LIFECYCLE}::test_a_list_that_misses_what_the_provider_still_shows_is_not_trusted",),
    ),
    Mutation(
        "one-list-proves-nothing-rented",
        "a create that is not listed yet counts as nothing rented",
        f"{MARKET}/rentals/lifecycle.py",
        "        if not found:\n            self._clock.sleep(LOOKS_APART_SECONDS)\n",
        "        if False:\n            self._clock.sleep(LOOKS_APART_SECONDS)\n",
        (f"{RULES}::test_a_create_that_shows_seconds_later_is_found_by_a_teardown",),
    ),
    Mutation(
        "shared-list-proves-absence",
        "an old listing of another host proves that nothing is rented",
        f"{MARKET}/rentals/lifecycle.py",
        "return self._listed(math.inf)",
        "return self._listed(self._clock.now() - 60)",
        (f"{RULES}::test_what_another_host_listed_never_proves_that_nothing_is_rented",),
    ),
    Mutation(
        "failed-release-is-success",
        "a teardown that could not release ends well",
        f"{MODULES}/rental.py",
        "        if unproven:\n            raise UnprovenAbsence(",
        "        if False:\n            raise UnprovenAbsence(",
        (f"{RULES}::test_a_teardown_that_cannot_be_proven_fails",),
    ),
    Mutation(
        "unreadable-account-is-an-empty-inventory",
        "an inventory that cannot be read looks like a fleet of nothing",
        "plugins/inventory/rentals.py",
        '            raise AnsibleParserError(f"{path}: {error}") from error\n'
        "        except ValueError",
        "            return\n        except ValueError",
        (f"{UNIT}/test_inventory.py::test_a_wrong_key_is_told",),
    ),
    Mutation(
        "unproven-release-is-success",
        "a reaper that could not prove a release ends well",
        f"{MODULES}/rental_reap.py",
        "if not unknown and not unproven:",
        "if not unknown:",
        (f"{LIFECYCLE}::test_a_release_that_cannot_be_proven_fails_with_the_verdicts",),
    ),
)

#: P1: one name, one rental.
CREATES = (
    Mutation(
        "create-retried-after-5xx",
        "a create that was carried out and answered with an error is sent again",
        f"{MARKET}/providers/transport.py",
        "passing = _PASSING if idempotent else _NOT_CARRIED_OUT",
        "passing = _PASSING",
        (f"{RENTALS}::test_a_500_after_a_create_is_adopted_and_never_repeated",),
    ),
    Mutation(
        "create-retried-after-drop",
        "a create whose answer was lost is sent again",
        f"{MARKET}/providers/transport.py",
        "if attempt == self._tries or not idempotent:",
        "if attempt == self._tries:",
        (f"{RENTALS}::test_a_lost_answer_to_a_create_is_adopted_and_never_repeated",),
    ),
    Mutation(
        "create-says-that-it-is-idempotent",
        "a create is sent again whenever its answer is odd",
        f"{MARKET}/providers/vastai.py",
        "                body=_create_body(order),\n                idempotent=False,",
        "                body=_create_body(order),\n                idempotent=True,",
        (f"{RENTALS}::test_a_500_after_a_create_is_adopted_and_never_repeated",),
    ),
    Mutation(
        "unclear-create-takes-the-next-offer",
        "a create that shows late is one of two",
        f"{MARKET}/rentals/lifecycle.py",
        "            if rental is None and error.rental_id is None:\n"
        "                raise UnclearCreate(",
        "            if rental is None and error.rental_id is None:\n"
        "                raise OfferGone(error.cause) from error\n"
        "                raise UnclearCreate(",
        (f"{RENTALS}::test_a_create_that_may_have_happened_rents_nothing_else",),
    ),
    Mutation(
        "strangers-create-adopted",
        "a lost create is taken for done when another controller made one",
        f"{MARKET}/rentals/lifecycle.py",
        "if rental.mark and rental.mark.nonce == mark.nonce:",
        "if rental.mark:",
        (f"{RULES}::test_the_rental_of_another_controller_is_not_taken_for_a_lost_create",),
    ),
    Mutation(
        "youngest-wins",
        "two controllers each keep their own rental, or release each other's",
        f"{MARKET}/rentals/lifecycle.py",
        "return sorted(mine, key=lambda rental: rental.precedence)",
        "return sorted(mine, key=lambda rental: rental.precedence, reverse=True)",
        (f"{RENTALS}::test_the_oldest_of_two_rentals_wins_and_only_the_own_one_is_released",),
    ),
    Mutation(
        "loser-releases-the-winner",
        "a controller ends the rental of another one",
        f"{MARKET}/rentals/lifecycle.py",
        "                self._end_own(own.id, offer)\n",
        "                self._end_own(winner.id, offer)\n",
        (f"{RENTALS}::test_the_oldest_of_two_rentals_wins_and_only_the_own_one_is_released",),
    ),
    Mutation(
        "loser-keeps-its-own",
        "the younger of two rentals bills on",
        f"{MARKET}/rentals/lifecycle.py",
        "                self._end_own(own.id, offer)\n",
        "",
        (f"{RENTALS}::test_the_oldest_of_two_rentals_wins_and_only_the_own_one_is_released",),
    ),
    Mutation(
        "own-create-not-awaited",
        "the list that decides who is oldest may be older than the own create",
        f"{MARKET}/rentals/lifecycle.py",
        "            if own is None:\n                continue\n",
        "            if own is None:\n                own = self._provider.get(rental_id)\n"
        "                return own\n",
        (f"{RULES}::test_who_is_oldest_is_decided_by_a_list_that_shows_the_own_create",),
    ),
    Mutation(
        "old-list-shared",
        "what another host listed long ago counts as what is there now",
        f"{MARKET}/rentals/shared_listing.py",
        'if not_before <= float(kept.get("asked_at", 0.0)) <= self._clock.now():',
        'if 0.0 < float(kept.get("asked_at", 0.0)) <= self._clock.now():',
        (f"{RULES}::test_an_old_listing_of_another_host_is_not_used",),
    ),
    Mutation(
        "unlisted-create-forgotten",
        "a rental that no list shows bills unseen",
        f"{MARKET}/rentals/lifecycle.py",
        "        self._end_own(rental_id, offer)\n        raise _Unwanted(",
        "        raise _Unwanted(",
        (f"{RULES}::test_a_rental_that_no_list_ever_shows_is_released",),
    ),
    Mutation(
        "failed-clean-up-told-as-nothing",
        "a rental that could not be released is told as if nothing billed",
        f"{MARKET}/rentals/lifecycle.py",
        "            raise UnclearCreate(\n"
        "                error.cause, rental_id=rental_id, "
        'money=f"Rental {rental_id} may bill{rate}."\n'
        "            ) from error",
        "            raise OfferGone(error.cause) from error",
        (f"{RENTALS}::test_a_loser_that_cannot_be_released_is_never_told_as_nothing",),
    ),
    Mutation(
        "duplicate-released-at-once",
        "a controller ends a rental whose own controller is still deciding",
        f"{MARKET}/rentals/reaping.py",
        "return bool(rental.started_at) and now - rental.started_at >= _DUPLICATE_SETTLES_SECONDS",
        "return True",
        (f"{LIFECYCLE}::test_a_young_duplicate_is_left_to_its_own_controller",),
    ),
    Mutation(
        "duplicate-never-released",
        "a create that shows late bills until its deadline",
        f"{MARKET}/rentals/reaping.py",
        "return bool(rental.started_at) and now - rental.started_at >= _DUPLICATE_SETTLES_SECONDS",
        "return False",
        (
            f"{LIFECYCLE}::test_a_deploy_releases_a_duplicate_that_nobody_else_is_about_to_release",
            f"{LIFECYCLE}::test_a_create_that_shows_minutes_later_is_reaped_as_a_duplicate",
        ),
    ),
    Mutation(
        "claims-ignored",
        "parallel hosts fight over one machine",
        f"{MARKET}/rentals/claims.py",
        'if machine_id in claims and claims[machine_id]["holder"] != holder:',
        "if False:",
        (f"{RULES}::test_a_machine_that_another_host_is_renting_is_left_to_it",),
    ),
    Mutation(
        "machines-in-use-rented-again",
        "two hosts end on one machine",
        f"{MODULES}/rental.py",
        "wish = make_wish(options).without_machines(machines_in_use)",
        "wish = make_wish(options)",
        (f"{RULES}::test_two_hosts_of_a_fleet_never_share_a_machine",),
    ),
    Mutation(
        "full-disk-hides-a-rental",
        "a disk that fills after a create ends the run without the nonce",
        f"{MARKET}/rentals/shared_listing.py",
        "        except OSError:\n            # It may",
        "        except ZeroDivisionError:\n            # It may",
        (f"{SHARING}::test_a_disk_that_fills_after_the_create_hides_no_rental",),
    ),
    Mutation(
        "unusable-folder-blocks-releases",
        "nothing can be released while a folder cannot be written",
        f"{MARKET}/rentals/shared_listing.py",
        "        except OSError:\n            # What was",
        "        except ZeroDivisionError:\n            # What was",
        (f"{SHARING}::test_a_controller_that_can_keep_nothing_rents_shows_and_releases",),
    ),
    Mutation(
        "defect-hides-the-nonce",
        "a defect after a create ends the run without what releases it",
        f"{MODULES}/rental.py",
        "        except Exception as error:\n",
        "        except ZeroDivisionError as error:\n",
        (f"{LIMITED}::test_whatever_breaks_after_a_create_leaves_the_nonce",),
    ),
    Mutation(
        "dead-rental-wins",
        "a rental that nobody can use is kept and the one that serves is released",
        f"{MARKET}/model.py",
        "return self.status in DEAD, self.seniority",
        "return False, self.seniority",
        (f"{LIFECYCLE}::test_of_several_rentals_the_oldest_that_lives_counts",),
    ),
    Mutation(
        "unlisted-create-costs-nothing",
        "what was rented and released is told as taken by somebody else",
        f"{MARKET}/rentals/lifecycle.py",
        '            "unlisted",\n            f"Rental',
        '            "gone",\n            f"Rental',
        (f"{LIMITED}::test_what_was_made_and_never_listed_is_told_with_its_cost",),
    ),
)

#: What a rental may cost.
PRICES = (
    Mutation(
        "charged-price-ignored",
        "a rental is kept that costs more than the user allows",
        f"{MARKET}/rentals/lifecycle.py",
        "if most is not None and price > most + _SAME_PRICE_USD:",
        "if False:",
        (f"{LIMITED}::test_a_rental_that_is_charged_above_the_maximum_is_released_and_told",),
    ),
    Mutation(
        "no-price-is-cheap",
        "a rental whose row comes before its price passes every maximum",
        f"{MARKET}/rentals/lifecycle.py",
        "elif limits.need_price and offer.price_usd_per_hour and not own.price_usd_per_hour:",
        "elif False:",
        (
            f"{LIMITED}::test_a_price_that_the_first_rows_do_not_show_is_waited_for",
            f"{LIMITED}::test_a_rental_that_never_shows_its_price_is_not_kept_within_a_limit",
        ),
    ),
    Mutation(
        "dearer-rental-keeps-its-deadline",
        "a budget is overdrawn by what the offer did not say",
        f"{MARKET}/rentals/lifecycle.py",
        "if (deadline, seconds) == (mark.deadline, mark.lifetime_seconds):",
        "if True:",
        (f"{LIMITED}::test_a_dearer_rental_ends_sooner_so_that_its_budget_holds",),
    ),
    Mutation(
        "cheaper-rental-keeps-the-wish-of-its-offer",
        "the next deploy gives back what was spent, or undoes an extension",
        f"{MARKET}/rentals/lifecycle.py",
        "same = abs(price - offer.price_usd_per_hour) <= _SAME_PRICE_USD",
        "same = price <= offer.price_usd_per_hour + _SAME_PRICE_USD",
        (f"{LIMITED}::test_a_cheaper_rental_keeps_its_deadline_through_later_deploys",),
    ),
    Mutation(
        "unmoved-deadline-accepted",
        "a budget is overdrawn where the provider keeps the old mark",
        f"{MARKET}/rentals/lifecycle.py",
        'raise self._too_dear(rental, offer, f"and its deadline stays: {error.cause}") from error',
        "return rental",
        (f"{LIMITED}::test_a_dearer_rental_whose_deadline_cannot_be_moved_is_released",),
    ),
    Mutation(
        "spent-budget-spent-again",
        "each attempt may spend the whole budget",
        f"{MODULES}/rental.py",
        "left = lifetime.seconds_left(offer.price_usd_per_hour)",
        "left = seconds",
        (
            f"{LIMITED}::test_what_was_spent_ends_a_rental_sooner_and_a_later_deploy_gives_nothing_back",
        ),
    ),
    Mutation(
        "deploy-gives-back-what-was-spent",
        "the next deploy moves a deadline past the budget",
        f"{MODULES}/rental.py",
        "        seconds = lifetime.seconds(offer.price_usd_per_hour)\n",
        "        seconds = lifetime.seconds_left(offer.price_usd_per_hour)\n",
        (
            f"{LIMITED}::test_what_was_spent_ends_a_rental_sooner_and_a_later_deploy_gives_nothing_back",
        ),
    ),
    Mutation(
        "no-price-is-a-new-wish",
        "a row without a price moves a deadline past the budget",
        f"{MODULES}/rental.py",
        "unpriced = bool(lifetime.budget_usd) and not kept.price_usd_per_hour",
        "unpriced = False",
        (f"{LIMITED}::test_a_row_that_shows_no_price_moves_no_deadline",),
    ),
    Mutation(
        "claimed-machine-costs-an-attempt",
        "parallel hosts fail although offers are plenty",
        f"{MARKET}/rentals/lifecycle.py",
        "                shunned.add(offer.machine_id)\n                continue\n",
        "                creates += 1\n                continue\n",
        (f"{LIMITED}::test_machines_that_other_hosts_rent_cost_no_attempt",),
    ),
)

#: Whose rentals these are.
OWNERSHIP = (
    Mutation(
        "every-scope-is-ours",
        "one team releases what another one rents",
        f"{MARKET}/rentals/lifecycle.py",
        "(one for one in listed if one.mark and one.mark.scope == self._scope)",
        "(one for one in listed if one.mark)",
        (f"{RENTALS}::test_other_scopes_names_and_strangers_are_never_touched",),
    ),
    Mutation(
        "every-name-is-ours",
        "a teardown of one host ends the whole fleet",
        f"{MARKET}/rentals/lifecycle.py",
        "[rental for rental in rentals if rental.mark and rental.mark.name == name]",
        "[rental for rental in rentals if rental.mark]",
        (f"{RENTALS}::test_other_scopes_names_and_strangers_are_never_touched",),
    ),
    Mutation(
        "release-by-name-instead-of-nonce",
        "a failed run ends the rental of another run",
        f"{MODULES}/rental.py",
        "[one for one in look(name) if nonce in (None, one.mark and one.mark.nonce)]",
        "[one for one in look(name)]",
        (f"{RENTALS}::test_only_the_rental_with_the_nonce_is_released",),
    ),
    Mutation(
        "strict-without-scope",
        "a reaper with a mistyped scope releases a fleet",
        f"{MODULES}/rental_reap.py",
        'if strict and options["confirm_scope"] != options["scope"]:',
        "if False:",
        (f"{LIFECYCLE}::test_orphans_are_told_and_go_only_when_the_scope_is_spelled_out",),
    ),
    Mutation(
        "orphans-released-without-strict",
        "what an inventory forgot is released without being asked to",
        f"{MARKET}/rentals/reaping.py",
        'return Judgement(rental, ORPHAN, "the inventory does not name it", strict)',
        'return Judgement(rental, ORPHAN, "the inventory does not name it", True)',
        (f"{LIFECYCLE}::test_orphans_are_told_and_go_only_when_the_scope_is_spelled_out",),
    ),
    Mutation(
        "cap-ignored",
        "a wrong inventory releases a whole fleet",
        f"{MODULES}/rental_reap.py",
        'if not module.params["release"] or len(doomed) <= most:',
        "if True:",
        (f"{LIFECYCLE}::test_of_too_many_orphans_none_is_released_but_what_is_expired_goes",),
    ),
    Mutation(
        "cap-holds-back-the-expired",
        "a large fleet that is past its deadline bills for ever",
        f"{MODULES}/rental_reap.py",
        "(spared and one.verdict == ORPHAN)",
        "len([one for one in judged if one.release]) > module.params['max_orphans']",
        (f"{LIFECYCLE}::test_a_large_fleet_that_expires_together_goes_as_a_whole",),
    ),
    Mutation(
        "no-inventory-is-an-empty-one",
        "an inventory that could not be read releases a whole fleet",
        f"{MODULES}/rental_reap.py",
        "if strict and not names:",
        "if strict and names is None:",
        (f"{LIFECYCLE}::test_an_inventory_without_names_makes_no_orphans",),
    ),
    Mutation(
        "damaged-mark-unseen",
        "a rental whose label was edited bills unseen",
        f"{MARKET}/mark.py",
        "return looks_ours and Mark.decode(text) is None",
        "return False",
        (f"{LIFECYCLE}::test_a_damaged_mark_cannot_be_judged_and_fails",),
    ),
)

#: P3: nothing bills past its deadline.
DEADLINES = (
    Mutation(
        "deadline-compared-the-wrong-way",
        "the reaper releases what may live and keeps what may not",
        f"{MARKET}/rentals/reaping.py",
        "now >= mark.deadline for now in clocks.both",
        "now < mark.deadline for now in clocks.both",
        (
            f"{LIFECYCLE}"
            "::test_a_reaper_without_anything_but_the_key_releases_what_is_past_its_deadline",
        ),
    ),
    Mutation(
        "no-deadline-is-a-past-one",
        "the reaper releases what was to live without a deadline",
        f"{MARKET}/rentals/reaping.py",
        "past = [bool(mark.deadline) and now >= mark.deadline for now in clocks.both]",
        "past = [now >= mark.deadline for now in clocks.both]",
        (f"{RULES}::test_what_has_no_deadline_is_never_past_it",),
    ),
    Mutation(
        "one-wrong-clock-releases",
        "a controller whose clock is wrong releases a fleet",
        f"{MARKET}/rentals/reaping.py",
        "    if all(past):",
        "    if any(past):",
        (f"{LIFECYCLE}::test_clocks_that_disagree_about_a_deadline_release_nothing",),
    ),
    Mutation(
        "provider-clock-ignored",
        "the controller's clock alone decides what is past its deadline",
        f"{MODULES}/rental_reap.py",
        "Clocks(now, now + provider.clock_offset_seconds)",
        "Clocks(now, now)",
        (f"{LIFECYCLE}::test_clocks_that_disagree_about_a_deadline_release_nothing",),
    ),
    Mutation(
        "later-limit-counts",
        "a budget in dollars is overdrawn until the hours are over",
        f"{MARKET}/rentals/lifetime.py",
        "int(min(limits))",
        "int(max(limits))",
        (f"{LIFECYCLE}::test_hours_and_dollars_give_the_sooner_end",),
    ),
    Mutation(
        "no-deadline-by-accident",
        "a rental without a deadline needs no yes",
        f"{MARKET}/rentals/lifetime.py",
        "if not limits and not self.unlimited:",
        "if False:",
        (f"{LIFECYCLE}::test_no_deadline_needs_an_explicit_yes",),
    ),
    Mutation(
        "nobody-enforces-by-accident",
        "a deadline that nobody enforces needs no yes",
        f"{MARKET}/rentals/lifetime.py",
        "    if nobody_accepted:\n        return NOBODY\n",
        "    return NOBODY\n",
        (f"{LIFECYCLE}::test_a_deadline_that_nobody_enforces_needs_an_explicit_yes",),
    ),
    Mutation(
        "deploy-undoes-an-extension",
        "the next deploy takes back what extend gave",
        f"{MARKET}/rentals/lifetime.py",
        "return abs(lifetime_seconds - mark.lifetime_seconds) > "
        "_SAME_SHARE * mark.lifetime_seconds",
        "return True",
        (f"{LIFECYCLE}::test_an_extension_survives_the_next_deploy",),
    ),
    Mutation(
        "new-deadline-in-the-past",
        "a shorter wish ends a serving host at once",
        f"{MARKET}/rentals/lifecycle.py",
        "if deadline and deadline <= self._clock.now() + _LEAST_NOTICE_SECONDS:",
        "if False:",
        (f"{LIFECYCLE}::test_a_new_deadline_in_the_past_is_refused",),
    ),
    Mutation(
        "new-deadline-unseen",
        "a deadline that the provider did not keep is told as moved",
        f"{MARKET}/rentals/lifecycle.py",
        "if seen is not None and seen.mark == mark:",
        "if seen is not None:",
        (f"{RULES}::test_an_extension_that_the_provider_forgets_is_no_success",),
    ),
    Mutation(
        "last-date-believed",
        "one answer with a wrong date makes a rental immortal",
        f"{MARKET}/providers/transport.py",
        "return min(self._offsets, key=abs, default=0.0)",
        "return self._offsets[-1] if self._offsets else 0.0",
        (f"{TRANSPORT}::test_one_wrong_date_among_several_does_not_tell_the_time",),
    ),
    Mutation(
        "only-date-believed",
        "the only answer of a call makes a rental immortal",
        f"{MARKET}/rentals/lifecycle.py",
        "if abs(self._provider.clock_offset_seconds) > _PLAUSIBLE_OFFSET_SECONDS:",
        "if False:",
        (
            f"{TRANSPORT}::test_one_answer_with_a_wrong_date_moves_no_deadline",
            f"{TRANSPORT}::test_one_answer_with_a_wrong_date_extends_nothing_else",
        ),
    ),
    Mutation(
        "created-by-our-own-clock",
        "a host counts its lifetime from the wrong hour",
        f"{MODULES}/rental.py",
        "created_at=now,",
        "created_at=int(self._clock.now()),",
        (f"{TRANSPORT}::test_a_controller_that_is_behind_tells_hosts_the_same_lifetime",),
    ),
)

#: P8: check mode never spends and never changes.
CHECK_MODE = (
    Mutation(
        "check-mode-creates",
        "a dry run rents",
        f"{MODULES}/rental.py",
        "        if self._module.check_mode:\n            diff =",
        "        if False:\n            diff =",
        (f"{RENTALS}::test_check_mode_prices_the_offer_and_creates_nothing",),
    ),
    Mutation(
        "check-mode-releases",
        "a dry run ends what serves",
        f"{MODULES}/rental.py",
        "        if not self._module.check_mode:\n            self._release_all(doomed)",
        "        if True:\n            self._release_all(doomed)",
        (f"{RENTALS}::test_check_mode_releases_nothing",),
    ),
    Mutation(
        "check-mode-resolves-duplicates",
        "a dry run ends a duplicate",
        f"{MODULES}/rental.py",
        "        if not self._module.check_mode:\n            self._release_all(settled)",
        "        if True:\n            self._release_all(settled)",
        (f"{RULES}::test_check_mode_leaves_duplicates_alone",),
    ),
    Mutation(
        "check-mode-moves-deadlines",
        "a dry run changes a rental's mark",
        f"{MARKET}/rentals/lifecycle.py",
        "        if pretend:\n            return replace(",
        "        if False:\n            return replace(",
        (f"{LIFECYCLE}::test_a_deploy_moves_the_deadline_only_when_the_wish_changes",),
    ),
    Mutation(
        "check-mode-reaps",
        "a dry run of the reaper releases",
        f"{MODULES}/rental_reap.py",
        'acting = module.params["release"] and not module.check_mode',
        'acting = module.params["release"]',
        (f"{RULES}::test_check_mode_of_the_reaper_releases_nothing",),
    ),
    Mutation(
        "reaper-acts-unasked",
        "a reaper that should only judge releases",
        f"{MODULES}/rental_reap.py",
        'acting = module.params["release"] and not module.check_mode',
        "acting = not module.check_mode",
        (
            f"{LIFECYCLE}"
            "::test_a_reaper_without_anything_but_the_key_releases_what_is_past_its_deadline",
        ),
    ),
)

#: Limits that the provider sets, and secrets.
LIMITS = (
    Mutation(
        "account-key-on-the-host",
        "whoever owns a rented machine can spend the account's money",
        f"{MARKET}/providers/vastai.py",
        "                body=_create_body(order),\n",
        "                body={**_create_body(order), "
        '"env": dict(self._transport._session.headers)},\n',
        (f"{RULES}::test_no_host_ever_gets_the_accounts_key",),
    ),
    Mutation(
        "rate-limits-ignored",
        "parallel hosts are locked out for calling too often",
        f"{MARKET}/providers/pace.py",
        "        self._clock.sleep(seconds)\n",
        "",
        (f"{RULES}::test_no_call_comes_too_early",),
    ),
    Mutation(
        "retry-after-ignored",
        "a client that was told to wait calls on",
        f"{MARKET}/providers/transport.py",
        "return (own if asked is None else asked) * (1 + random.uniform(0, 0.2))",
        "return own * (1 + random.uniform(0, 0.2))",
        (f"{RULES}::test_a_provider_that_says_how_long_to_wait_is_obeyed",),
    ),
    Mutation(
        "attempts-without-end",
        "a market that sells stale offers is asked for ever",
        f"{MARKET}/rentals/lifecycle.py",
        "if creates == limits.max_attempts:",
        "if False:",
        (f"{RENTALS}::test_attempts_are_bounded",),
    ),
    Mutation(
        "long-pause-cut-short",
        "a client that was told to wait for minutes calls on",
        f"{MARKET}/providers/transport.py",
        "return (own if asked is None else asked) * (1 + random.uniform(0, 0.2))",
        "return min(own if asked is None else asked, 30.0)",
        (f"{TRANSPORT}::test_a_pause_is_obeyed_in_full_in_whatever_form_it_is_asked_for",),
    ),
    Mutation(
        "dripping-answer-awaited",
        "an answer that never ends holds up the whole play",
        f"{MARKET}/providers/transport.py",
        "return _within(self._timeout_seconds, send)",
        "return send()",
        (f"{TRANSPORT}::test_an_answer_that_drips_ends_the_call",),
    ),
    Mutation(
        "key-in-a-message",
        "the key of an instance can be read in logs",
        f"{MARKET}/providers/transport.py",
        '_SECRET.sub(r"\\1\\2***", text)',
        "text",
        (f"{TRANSPORT}::test_no_secret_gets_into_a_message",),
    ),
    Mutation(
        "echoed-key-in-a-message",
        "the account's key can be read in logs when an answer repeats it",
        f"{MARKET}/providers/transport.py",
        'self.text.replace(self._credential, "***") if self._credential else self.text',
        "self.text",
        (f"{TRANSPORT}::test_an_answer_that_repeats_the_accounts_key_does_not_show_it",),
    ),
)

#: What travels with the create: the dead-man switch and the host's key.
HOSTS = (
    Mutation(
        "create-without-switch",
        "a rental whose controller never comes back bills for ever",
        f"{MARKET}/providers/vastai.py",
        "            order.mark.deadline,\n            _SELF_RELEASE,\n",
        "            order.mark.deadline,\n            None,\n",
        (f"{RULES}::test_the_dead_man_switch_travels_with_the_create",),
    ),
    Mutation(
        "restart-resets-the-deadline",
        "a host that was stopped and started again lives by another deadline",
        f"{MARKET}/access/start_script.py",
        "if [ ! -s switch.sh ]; then\n",
        "rm -f switch.sh deadline\nif true; then\n",
        (f"{SCRIPT}::test_a_restart_undoes_no_extension",),
    ),
    Mutation(
        "damaged-deadline-believed",
        "a file with rubbish in it lets a host live for ever",
        f"{MARKET}/access/start_script.py",
        "    *[!0-9]*|0*) deadline=;;\n    ??????????) ;;\n    *) deadline=;;\n",
        "    '') ;;\n",
        (f"{SCRIPT}::test_a_damaged_deadline_counts_as_the_original_one",),
    ),
    Mutation(
        "release-from-inside-tried-once",
        "a host whose release meets a hiccup bills for ever",
        f"{MARKET}/access/start_script.py",
        "    { date; release; } >log 2>&1\n    pause=30\n",
        "    { date; release; } >log 2>&1\n    exit\n",
        (f"{SCRIPT}::test_a_release_that_fails_is_tried_again",),
    ),
    Mutation(
        "wrong-clock-of-a-host-believed",
        "a host whose clock is wrong ends at once or never",
        f"{MARKET}/access/start_script.py",
        "[ $now -ge @{earliest} ] && [ $now -le @{latest} ] || deadline=",
        "true || deadline=",
        (f"{SCRIPT}::test_a_host_whose_clock_is_wrong_counts_from_its_first_start",),
    ),
    Mutation(
        "key-in-an-argument-list",
        "whoever lists the processes of a host can read its key",
        f"{MARKET}/access/start_script.py",
        "curl -qfsSm60 -K - ||",
        'curl -qfsSm60 -K - -A "$key" ||',
        (f"{SCRIPT}::test_the_key_is_in_no_argument_list_and_no_file",),
    ),
    Mutation(
        "delivered-host-key-put-back",
        "after a restart a host shows the key that the marketplace has seen",
        f"{MARKET}/access/start_script.py",
        "  [ ! -e $replaced ] || exit\n",
        "",
        (f"{SCRIPT}::test_a_restart_keeps_the_key_that_replaced_the_delivered_one",),
    ),
    Mutation(
        "host-key-not-checked",
        "whoever answers at the address is given the fleet's secrets",
        f"{MARKET}/access/ssh_probe.py",
        "if login.expected_keys and _line(key) not in login.expected_keys:",
        "if False:",
        (
            f"{PROBE}"
            "::test_another_key_is_refused_before_the_login_and_may_still_change_while_the_host_boots",
        ),
    ),
    Mutation(
        "pinned-host-key-not-checked",
        "an address that went to another machine is trusted",
        f"{MARKET}/access/ssh_probe.py",
        "if known.check(name, key):",
        "if True:",
        (f"{PROBE}::test_another_key_than_the_pinned_one_is_final_and_explained",),
    ),
    Mutation(
        "seen-host-key-pinned",
        "a host may go on showing the key that the marketplace has seen",
        f"{MARKET}/access/ssh_probe.py",
        "if not login.expected_keys or _line(key) == login.expected_keys[0]:",
        "if True:",
        (f"{PROBE}::test_a_key_that_the_marketplace_has_seen_is_accepted_but_never_pinned",),
    ),
    Mutation(
        "one-host-key-for-all-rentals",
        "a rental's host key opens the way to impersonate the next one",
        f"{MARKET}/access/host_keys.py",
        "{mark.name}/{mark.nonce}/{generation}",
        "{mark.name}/{generation}",
        (f"{UNIT}/test_host_keys.py::test_whatever_differs_makes_another_key",),
    ),
    Mutation(
        "revoked-key-blamed-on-the-host",
        "a good host is given up because the key was revoked",
        f"{MARKET}/rentals/waiting.py",
        "                self._provider.check_credential()\n",
        "                pass\n",
        (f"{WAITING}::test_a_key_that_was_revoked_is_no_fault_of_the_host",),
    ),
    Mutation(
        "end-believed-at-first-sight",
        "a good host is given up because its status flickered",
        f"{MARKET}/rentals/waiting.py",
        "if self._ended_looks >= _ENDED_LOOKS:",
        "if self._ended_looks:",
        (f"{WAITING}::test_an_end_that_was_a_flicker_is_not_believed",),
    ),
    Mutation(
        "dead-switch-told-as-armed",
        "a host whose switch is dead is told to end by itself",
        "plugins/module_utils/host/deadline.py",
        "    if pid is None:\n",
        "    if False:\n",
        ("tests/unit/host/test_deadline.py::test_a_dead_switch_is_told_and_started_again",),
    ),
    Mutation(
        "providers-fault-blamed-on-the-machine",
        "machine after machine is shunned for what the provider fails to do",
        f"{MARKET}/rentals/waiting.py",
        'return "provider" if self._unattached and self._at(LOGIN) else "machine"',
        'return "machine"',
        (
            f"{WAITING}::test_a_key_that_the_provider_never_attaches_is_its_fault_and_not_the_machines",
        ),
    ),
)

HOST = "plugins/module_utils/host"
SERVER_DRILLS = "tests/unit/host/test_drills.py"

#: P4 and P6: the drills with real servers take these by name as well, see CONTRIBUTING.md.
SERVERS = (
    Mutation(
        "kill-pid",
        "only the main process is ended, and only it is looked for afterwards",
        f"{HOST}/service/tree.py",
        "    return [table[pid] for pid in sorted(members - ours) if pid in table]\n",
        "    return [table[identity.pid]] if identity and alive(identity) else []\n",
        (
            f"{SERVER_DRILLS}::test_stop_forgotten",
            f"{SERVER_DRILLS}::test_orphans_stopped",
            f"{SERVER_DRILLS}::test_stop_during_launch",
            f"{SERVER_DRILLS}::test_killed_restarted",
        ),
        least_red=3,
    ),
    Mutation(
        "health-is-enough",
        "a server whose /health is green counts as one that serves",
        f"{HOST}/server/readiness.py",
        "    for stage in CHECKS[1:]:\n",
        '    for stage in ("health",):\n',
        (
            f"{SERVER_DRILLS}::test_sigill",
            f"{SERVER_DRILLS}::test_hung_worker",
            f"{SERVER_DRILLS}::test_hung_at_start",
        ),
        least_red=3,
    ),
    Mutation(
        "pid-is-enough",
        "a stranger that got the PID of a dead server is taken for it, and ended",
        f"{HOST}/machine/processes.py",
        "    return process is not None and process.identity == identity\n",
        "    return process is not None\n",
        (
            f"{SERVER_DRILLS}::test_pid_reused",
            f"{SERVER_DRILLS}::test_stop_after_pid_reused",
            f"{SERVER_DRILLS}::test_start_after_pid_reused",
            f"{SERVER_DRILLS}::test_pid_and_start_time_of_another_boot",
        ),
        least_red=3,
    ),
)

MUTATIONS = (
    *ANSWERS,
    *PROOFS,
    *CREATES,
    *PRICES,
    *OWNERSHIP,
    *DEADLINES,
    *CHECK_MODE,
    *LIMITS,
    *HOSTS,
    *SERVERS,
)
