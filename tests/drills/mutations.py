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
VASTAI = f"{UNIT}/test_vastai.py"
LIFECYCLE = f"{UNIT}/test_lifecycle.py"
SCRIPT = f"{UNIT}/test_start_script.py"
PROBE = f"{UNIT}/test_ssh_probe.py"
WAITING = f"{UNIT}/test_waiting.py"
LIMITED = f"{UNIT}/test_limits.py"
TRANSPORT = f"{UNIT}/test_transport.py"
SHARING = f"{UNIT}/test_sharing.py"
SEARCHING = f"{UNIT}/test_shared_search.py"
UNTOLD = f"{UNIT}/test_untold.py"
MARKS = f"{UNIT}/test_mark.py"
RULES = "tests/unit/drills/test_rules.py"
ATTEMPTS = f"{UNIT}/test_attempts.py"
OUTCOME = f"{UNIT}/test_outcome.py"
ENDING = f"{UNIT}/test_ending.py"
DISK = f"{UNIT}/test_disk.py"
SHOWN = "tests/unit/plugins/test_shown_lines.py"


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
        (f"{VASTAI}::test_an_unknown_404_is_not_gone",),
    ),
    Mutation(
        "first-page-only",
        "the rentals of later pages are never seen again",
        f"{MARKET}/providers/vastai.py",
        "            if not token:\n"
        '                return self._complete(rows, data.get("total_instances"))\n',
        "            return [self._rental(row) for row in rows]\n",
        (f"{VASTAI}::test_every_page_of_the_list_is_read",),
    ),
    Mutation(
        "odd-row-hides-the-account",
        "one odd row of a stranger keeps every rental from being released",
        f"{MARKET}/providers/vastai.py",
        "return [self._listed(row) for row in rows]",
        "return [self._rental(row) for row in rows]",
        (
            f"{VASTAI}::test_a_strangers_row_that_stays_odd_is_in_nobodys_way",
            f"{VASTAI}::test_a_row_of_ours_that_stays_odd_is_named_and_can_still_be_released",
        ),
    ),
    Mutation(
        "token-ignored",
        "no account with more than one page can be listed",
        f"{MARKET}/providers/vastai.py",
        'token = data.get("next_token")',
        "token = None",
        (f"{VASTAI}::test_every_page_of_the_list_is_read",),
    ),
    Mutation(
        "total-ignored",
        "a list that lost a page counts as complete",
        f"{MARKET}/providers/vastai.py",
        "not isinstance(total, int) or None in ids or len(ids) != total",
        "None in ids",
        (f"{VASTAI}::test_a_short_list_is_not_trusted",),
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
        (f"{VASTAI}::test_an_unknown_404_is_not_gone",),
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
        (f"{VASTAI}::test_a_503_is_never_taken_for_a_stale_offer",),
    ),
    Mutation(
        "id-beside-error-ignored",
        "a rental that was made beside an error bills unseen",
        f"{MARKET}/providers/vastai.py",
        "        if contract:\n            raise UnclearCreate(",
        "        if False:\n            raise UnclearCreate(",
        (f"{VASTAI}::test_an_error_beside_an_id_leaves_no_stray",),
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
        (f"{VASTAI}::test_odd_rows_after_a_create_are_looked_at_again",),
    ),
    Mutation(
        "gateway-page-believed",
        "a create that a gateway denies after it was done bills unseen",
        f"{MARKET}/providers/vastai.py",
        "return response.status != 408 and (own_words or offer_gone)",
        "return response.status != 408",
        (f"{VASTAI}::test_a_gateway_that_refuses_a_create_after_it_was_done_hides_no_rental",),
    ),
    Mutation(
        "gateway-json-believed",
        "a create that a gateway denies in JSON after it was done bills unseen",
        f"{MARKET}/providers/vastai.py",
        'own_words = said.get("success") is False or "error" in said',
        "own_words = isinstance(response.data, dict)",
        (f"{VASTAI}::test_a_gateways_refusal_of_a_create_that_was_carried_out_is_not_believed",),
    ),
    Mutation(
        "create-timeout-believed",
        "a create that was answered too late bills unseen",
        f"{MARKET}/providers/vastai.py",
        "return response.status != 408 and (own_words or offer_gone)",
        "return own_words or offer_gone",
        (f"{VASTAI}::test_a_gateway_that_refuses_a_create_after_it_was_done_hides_no_rental",),
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
        'money=f"Rental {rental_id} may bill{most}."\n'
        "            ) from error",
        "            raise OfferGone(error.cause) from error",
        (f"{RENTALS}::test_a_loser_that_cannot_be_released_is_never_told_as_nothing",),
    ),
    Mutation(
        "duplicate-released-at-once",
        "a controller ends a rental whose own controller is still deciding",
        f"{MARKET}/rentals/reaping.py",
        "return bool(rental.since) and now - rental.since >= _DUPLICATE_SETTLES_SECONDS",
        "return True",
        (f"{LIFECYCLE}::test_a_young_duplicate_is_left_to_its_own_controller",),
    ),
    Mutation(
        "duplicate-never-released",
        "a create that shows late bills until its deadline",
        f"{MARKET}/rentals/reaping.py",
        "return bool(rental.since) and now - rental.since >= _DUPLICATE_SETTLES_SECONDS",
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
        "elif limits.need_price and own.price_usd_per_hour is None:",
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
        "unpriced = bool(lifetime.budget_usd) and kept.price_usd_per_hour is None",
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
        'text = text.replace(secret, "***")',
        "pass",
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

SERVING = "plugins/module_utils/serving"
RECOVERY = "tests/unit/serving/test_recovery.py"
EXPLAINED = "tests/unit/plugins/test_one_explanation.py"
FLEET = "tests/unit/plugins/test_fleet_status.py"

#: What is wrong, what is done about it, and what is told of it.
DECISIONS = (
    Mutation(
        "record-not-read",
        "what could not even be run is unknown although its record says why",
        f"{SERVING}/explanation.py",
        "filter(None, (symptoms.log, symptoms.reason))",
        "filter(None, (symptoms.log,))",
        (f"{EXPLAINED}::test_what_could_not_even_be_run_is_explained_by_its_record",),
    ),
    Mutation(
        "own-kill-blamed-on-memory",
        "a server that we ended for being late is told as killed for want of memory",
        f"{SERVING}/explanation.py",
        "ended = (None, None) if ours else",
        "ended =",
        (f"{EXPLAINED}::test_what_was_stopped_for_being_late_is_not_said_to_have_been_killed",),
    ),
    Mutation(
        "log-told-as-it-is",
        "a token that a log holds is shown",
        f"{SERVING}/explanation.py",
        '[redact(line) for line in failure["evidence"]]',
        'failure["evidence"]',
        (f"{RECOVERY}::test_no_secret_is_shown_or_reported",),
    ),
    Mutation(
        "log-leaves-the-host-as-it-is",
        "a token that a log holds leaves the host",
        f"{HOST}/server/symptoms.py",
        "redact(Log(server.log).excerpt(HEAD_BYTES, TAIL_BYTES), secrets)",
        "Log(server.log).excerpt(HEAD_BYTES, TAIL_BYTES)",
        (
            "tests/unit/host/test_model_server.py"
            "::test_what_explains_a_failure_leaves_the_host_without_secrets",
        ),
    ),
    Mutation(
        "mends-without-being-told-to",
        "a dry run of recover changes the server",
        f"{SERVING}/recovery.py",
        "if not case.apply or done or over",
        "if done or over",
        (f"{RECOVERY}::test_no_step_is_taken_beyond_what_was_asked_for",),
    ),
    Mutation(
        "consent-not-asked",
        "another model is served that nobody has allowed",
        f"{SERVING}/recovery.py",
        '[step for step in plan if not step["needs"]]',
        "list(plan)",
        (f"{RECOVERY}::test_a_step_that_needs_consent_is_shown_and_left_out",),
    ),
    Mutation(
        "consent-taken-for-given",
        "model files are deleted that nobody has allowed to delete",
        f"{SERVING}/remedies.py",
        "missing = remedy.consent and remedy.consent not in situation.allowed",
        "missing = remedy.consent and not situation.allowed",
        (f"{RECOVERY}::test_a_step_that_needs_consent_is_shown_and_left_out",),
    ),
    Mutation(
        "healthy-server-mended",
        "a server that serves is ended",
        f"{SERVING}/remedies.py",
        'if known.health == "serving":',
        "if False:",
        (f"{RECOVERY}::test_a_server_that_serves_is_left_alone",),
    ),
    Mutation(
        "mends-for-ever",
        "steps begin when the time for them is up",
        f"{SERVING}/recovery.py",
        "over = case.elapsed_seconds >= case.budget_seconds",
        "over = False",
        (f"{RECOVERY}::test_no_step_is_taken_beyond_what_was_asked_for",),
    ),
    Mutation(
        "steps-without-end",
        "more steps are taken than were asked for",
        f"{SERVING}/recovery.py",
        "max(case.max_steps - len(tried), 0)",
        "case.max_steps",
        (f"{RECOVERY}::test_steps_differ_and_end",),
    ),
    Mutation(
        "same-step-again",
        "a step that did not help is taken again and again",
        f"{SERVING}/remedies.py",
        'fresh = [step for step in steps if step["key"] not in tried]',
        "fresh = list(steps)",
        (f"{RECOVERY}::test_steps_differ_and_end",),
    ),
    Mutation(
        "mended-server-mended-again",
        "a server that has just completed is torn down for the next step",
        f"{SERVING}/recovery.py",
        'case.serves or (case.tried and case.tried[-1]["helped"])',
        "case.serves",
        (f"{RECOVERY}::test_a_step_that_helped_is_the_last_one_whatever_a_later_look_says",),
    ),
    Mutation(
        "neighbour-ended",
        "a reset of one server ends another that serves",
        f"{SERVING}/recovery.py",
        'spared = () if "other_servers" in case.allowed else LIVING',
        "spared = ()",
        (f"{RECOVERY}::test_a_neighbour_that_serves_is_ended_only_by_consent",),
    ),
    Mutation(
        "living-server-taken-for-an-orphan",
        "a server that serves is ended as if it were left over",
        f"{SERVING}/recovery.py",
        'idle = [server for server in case.servers if server["phase"] not in LIVING]',
        "idle = list(case.servers)",
        (f"{RECOVERY}::test_orphans_that_hold_memory_end_first",),
    ),
    Mutation(
        "start-that-goes-on-ended",
        "a start that only needs time is thrown away",
        f"{SERVING}/recovery.py",
        'own = [] if step["id"] == "wait" else [case.name]',
        "own = [case.name]",
        (f"{RECOVERY}::test_a_start_that_goes_on_is_followed_and_not_ended",),
    ),
    Mutation(
        "gpu-reset-under-a-stranger",
        "a reset of the GPUs ends what somebody else computes",
        f"{SERVING}/recovery.py",
        'if free and not any(gpu["processes"] for gpu in gpus):',
        "if free:",
        (f"{RECOVERY}::test_gpus_that_somebody_uses_are_never_reset",),
    ),
    Mutation(
        "unknown-memory-counts-as-free",
        "GPUs whose driver tells nothing are reset",
        f"{SERVING}/recovery.py",
        "all(mib is not None and mib <=",
        "all(mib is None or mib <=",
        (f"{RECOVERY}::test_gpus_that_somebody_uses_are_never_reset",),
    ),
    Mutation(
        "old-log-outranks-the-last-step",
        "steps are taken against a failure of before",
        f"{SERVING}/recovery.py",
        'last = case.tried[-1].get("failure") if case.tried else None',
        "last = None",
        (f"{RECOVERY}::test_why_the_last_step_failed_says_more_than_the_log_of_before",),
    ),
    Mutation(
        "removed-argument-kept",
        "the next deploy brings back the argument that a step took away",
        f"{SERVING}/recovery.py",
        '"arguments": {**changed, **gone},',
        '"arguments": changed,',
        (f"{RECOVERY}::test_what_the_next_deploy_would_undo_is_named_for_the_inventory",),
    ),
    Mutation(
        "failed-recovery-ends-well",
        "a server that could not be mended is no failure of the run",
        f"{SERVING}/recovery.py",
        'if report["mended"] or not case.apply:',
        "if True:",
        (f"{RECOVERY}::test_what_it_bills_and_where_the_evidence_lies_is_said_before_and_after",),
    ),
    Mutation(
        "silent-host-left-out",
        "a host that could not be looked up is missing from the status",
        "plugins/filter/fleet_status.py",
        '        return [f"{name}: it could not be looked up"]\n',
        "        return []\n",
        (f"{FLEET}::test_a_host_of_which_nothing_is_known_says_why_and_takes_no_other_line_away",),
    ),
    Mutation(
        "overdue-told-as-time-left",
        "a rental past its deadline looks as if somebody would end it",
        "plugins/filter/fleet_status.py",
        "    elif left < 0:\n",
        "    elif False:\n",
        (f"{FLEET}::test_a_rental_says_whether_it_ends",),
    ),
    Mutation(
        "wish-told-as-failure",
        "a server that was stopped on request is told as failed",
        f"{SERVING}/explanation.py",
        'wanted = server["reason"] in (None, REQUESTED)',
        'wanted = server["reason"] is None',
        (f"{FLEET}::test_a_server_that_was_stopped_on_request_has_not_failed",),
    ),
)

#: What a provider does not tell, what hosts share of a search, and what a mark forgives.
SEAM = (
    Mutation(
        "untold-is-refused",
        "an offer that does not tell its driver can never be rented",
        f"{MARKET}/wish.py",
        "return None if value is None else bool(value >= least)",
        "return value is not None and bool(value >= least)",
        (f"{UNTOLD}::test_an_offer_that_tells_little_is_found_by_the_usual_wish",),
    ),
    Mutation(
        "told-too-little-is-accepted",
        "an offer below a limit is rented because others do not tell theirs",
        f"{MARKET}/wish.py",
        "if check.fulfilled is False]",
        "if check.fulfilled is False and not check]",
        (f"{UNTOLD}::test_what_is_told_and_too_little_is_still_refused",),
    ),
    Mutation(
        "each-untold-is-a-doubt",
        "an offer that tells little is priced as if all that it does not tell were bad",
        f"{MARKET}/offers/ranking.py",
        'doubts.append(", ".join(f"{name} {NOT_TOLD}" for name in untold))',
        'doubts.extend(f"{name} {NOT_TOLD}" for name in untold)',
        (f"{UNTOLD}::test_what_is_not_told_is_one_doubt_with_all_of_it_named",),
    ),
    Mutation(
        "untold-costs-nothing",
        "an offer that tells nothing ranks before one that tells only good",
        f"{MARKET}/offers/ranking.py",
        "    if untold:\n",
        "    if False:\n",
        (f"{UNTOLD}::test_what_is_not_told_is_one_doubt_with_all_of_it_named",),
    ),
    Mutation(
        "untold-reliability-is-none",
        "an offer that does not tell its uptime is priced as one that is always down",
        f"{MARKET}/offers/ranking.py",
        "return usual if told is None else told",
        "return told or 0.0",
        (f"{UNTOLD}::test_an_offer_that_tells_little_is_not_priced_as_a_ruin",),
    ),
    Mutation(
        "null-is-empty-text",
        "what Vast.ai does not tell counts as told and too old",
        f"{MARKET}/providers/vastai.py",
        'return None if value in (None, "") else str(value)',
        'return str(value or "")',
        (f"{VASTAI}::test_vast_ai_does_not_tell_what_it_shows_as_null",),
    ),
    Mutation(
        "offer-without-a-price-is-free",
        "an offer that shows a price of 0 is always the cheapest",
        f"{MARKET}/providers/vastai.py",
        "    if price <= 0:\n",
        "    if price < 0:\n",
        (f"{VASTAI}::test_what_has_no_price_is_not_for_rent",),
    ),
    Mutation(
        "unpromised-speed-is-broken",
        "a host is released because its offer promised nothing",
        f"{MARKET}/offers/promises.py",
        "            not driver or not wanted_driver or",
        '            bool(wanted_driver) and wanted_driver != "" and',
        (f"{UNTOLD}::test_what_was_not_promised_is_not_compared",),
    ),
    Mutation(
        "gone-offers-stay-shared",
        "every host of a play tries the offer that was gone for the first",
        f"{MARKET}/rentals/lifecycle.py",
        "            self.search.forget()\n",
        "            pass\n",
        (f"{SEARCHING}::test_an_offer_that_turns_out_to_be_gone_ends_the_sharing",),
    ),
    Mutation(
        "old-search-shared",
        "hosts are rented by offers of yesterday",
        f"{MARKET}/offers/shared_search.py",
        "if not sound or not now - SHARED_FOR_SECONDS <= float(asked_at or 0) <= now:",
        "if not sound:",
        (f"{SEARCHING}::test_another_account_and_a_later_play_search_anew",),
    ),
    Mutation(
        "any-search-shared",
        "a host gets offers that were searched for by another wish",
        f"{MARKET}/offers/shared_search.py",
        "return hashlib.sha256(json.dumps(asdict(wish), sort_keys=True).encode()).hexdigest()[:16]",
        "return hashlib.sha256(type(wish).__name__.encode()).hexdigest()[:16]",
        (f"{SEARCHING}::test_another_wish_is_another_search",),
    ),
    Mutation(
        "every-host-searches",
        "forty hosts wait four minutes for forty equal answers",
        f"{MARKET}/wish.py",
        "return replace(self, filter=None, exclude_machines=())",
        "return self",
        (f"{SEARCHING}::test_hosts_with_one_wish_make_one_search_whatever_they_rent",),
    ),
    Mutation(
        "later-mark-is-damaged",
        "a rental of a later version is neither kept nor released",
        f"{MARKET}/mark.py",
        "if len(others) < 4 or",
        "if len(others) != 4 or",
        (f"{MARKS}::test_a_part_that_a_later_version_adds_is_forgiven_and_kept",),
    ),
    Mutation(
        "later-part-is-lost",
        "an extension by an older version takes away what a later one wrote",
        f"{MARKET}/mark.py",
        'rest = "/".join(others[4:])',
        'rest = ""',
        (f"{MARKS}::test_a_part_that_a_later_version_adds_is_forgiven_and_kept",),
    ),
    Mutation(
        "old-mark-unread",
        "a rental of the first version bills until somebody remembers it",
        f"{MARKET}/mark.py",
        "        if len(parts) == 6:\n",
        "        if len(parts) == 60:\n",
        (f"{MARKS}::test_a_rental_that_the_first_version_made_is_kept_and_released",),
    ),
    Mutation(
        "mark-cut-by-its-field",
        "a rental whose mark does not fit is lost with its create",
        f"{MODULES}/rental.py",
        "        check_length(scope, name, self._provider.label_length)\n",
        "",
        (f"{UNTOLD}::test_a_name_that_a_providers_field_cannot_hold_is_refused_before_the_create",),
    ),
    Mutation(
        "order-of-ids-without-an-order",
        "of two rentals of a provider without an order each controller keeps another",
        f"{MARKET}/model.py",
        'self.seniority or f"{created_at:020d}", self.id',
        "self.seniority, self.id",
        (f"{UNTOLD}::test_of_two_rentals_without_a_start_the_first_created_counts",),
    ),
    Mutation(
        "no-start-is-no-age",
        "a duplicate whose provider tells no start bills for ever",
        f"{MARKET}/model.py",
        "return started_at or float(created_at or 0)",
        "return started_at or 0.0",
        (
            f"{UNTOLD}::test_of_two_rentals_without_a_start_the_first_created_counts",
            f"{UNTOLD}::test_a_rental_without_a_start_costs_from_its_create",
        ),
        least_red=2,
    ),
    Mutation(
        "undeliverable-host-key-expected",
        "the secret of a host key is sent to a provider that loses it",
        f"{MODULES}/rental.py",
        'if options["host_keys"] == "delivered" and self._provider.delivers_host_key:',
        'if options["host_keys"] == "delivered":',
        (f"{UNTOLD}::test_no_host_key_is_made_where_none_can_be_delivered",),
    ),
    Mutation(
        "mark-changed-where-none-can-be",
        "an extension is told that the provider never takes",
        f"{MARKET}/rentals/lifecycle.py",
        "if not self._provider.can_change_mark or rental.mark is None:",
        "if rental.mark is None:",
        (f"{UNTOLD}::test_a_deadline_does_not_move_where_marks_cannot_be_changed",),
    ),
)

#: What a failed attempt or deploy costs, who releases it, and what is said; and the disk.
ATTEMPTING = (
    Mutation(
        "killed-call-forgotten",
        "what a call made that was killed after its create bills without a word",
        f"{MARKET}/rentals/attempts.py",
        "        if self.is_silent(created):\n            return self.nonce\n",
        "",
        (f"{ATTEMPTS}::test_a_call_that_ended_without_a_word_may_have_rented_and_is_released",),
    ),
    Mutation(
        "unlaunched-call-feared",
        "a controller without a Python says that a rental may bill",
        f"{MARKET}/rentals/attempts.py",
        ' and created.get("rc") not in _NEVER_RAN',
        "",
        (f"{ATTEMPTS}::test_what_this_run_has_not_rented_is_not_its_to_release",),
    ),
    Mutation(
        "others-rental-released",
        "a deploy that fails releases a rental that it has only found",
        f"{MARKET}/rentals/attempts.py",
        'return self.nonce if created.get("nonce") == self.nonce else ""',
        "return self.nonce",
        (f"{ATTEMPTS}::test_what_this_run_has_not_rented_is_not_its_to_release",),
    ),
    Mutation(
        "released-twice",
        "what was released is taken for what bills",
        f"{MARKET}/rentals/attempts.py",
        'return self.nonce if created.get("nonce") == self.nonce else ""',
        'return str(created.get("nonce", ""))',
        (f"{ATTEMPTS}::test_what_was_released_before_is_not_released_again",),
    ),
    Mutation(
        "old-creates-counted-again",
        "an attempt takes another one's creates from the limit",
        f"{MARKET}/rentals/attempts.py",
        "        if self._is_older(created):\n            return self\n",
        "",
        (f"{ATTEMPTS}::test_what_was_released_before_is_not_released_again",),
    ),
    Mutation(
        "kept-and-rented-again",
        "a host that is to be kept is followed by another that bills beside it",
        f"{MARKET}/rentals/attempts.py",
        "        bool(release)\n        and failure",
        "        bool(nonce)\n        and failure",
        (f"{ATTEMPTS}::test_what_is_to_be_kept_is_neither_released_nor_followed_by_another",),
    ),
    Mutation(
        "keep-releases",
        "what is to be kept is released",
        f"{MARKET}/rentals/attempts.py",
        'release = nonce if on_failure == RELEASE else ""',
        "release = nonce",
        (f"{ATTEMPTS}::test_what_is_to_be_kept_is_neither_released_nor_followed_by_another",),
    ),
    Mutation(
        "everybody-to-blame",
        "a provider's own fault costs one host after the other",
        f"{MARKET}/rentals/attempts.py",
        'return bool(self.stage) and self.blame == "machine"',
        "return bool(self.stage)",
        (f"{ATTEMPTS}::test_another_host_is_tried_only_where_a_machine_is_to_blame",),
    ),
    Mutation(
        "silence-is-nobodys",
        "a host that falls silent makes no room for another",
        f"{MARKET}/rentals/attempts.py",
        '{"stage": "ssh", "blame": "machine"} if silent else {}',
        "{}",
        (f"{ATTEMPTS}::test_a_host_that_answers_no_more_is_to_blame_without_a_word",),
    ),
    Mutation(
        "one-create-too-many",
        "one host more is rented than was allowed",
        f"{MARKET}/rentals/attempts.py",
        "counted.creates_sent < limits.max_attempts",
        "counted.creates_sent <= limits.max_attempts",
        (
            f"{ATTEMPTS}::test_as_many_creates_are_sent_as_are_allowed_and_claimed_machines_cost_none",
        ),
    ),
    Mutation(
        "claimed-counted",
        "machines of parallel hosts use up the creates",
        f"{MARKET}/rentals/attempts.py",
        'if one["outcome"] != _NOT_SENT]',
        "if one]",
        (
            f"{ATTEMPTS}::test_as_many_creates_are_sent_as_are_allowed_and_claimed_machines_cost_none",
        ),
    ),
    Mutation(
        "budget-ends-midway",
        "a next host is rented that the budget ends before it serves",
        f"{MARKET}/rentals/attempts.py",
        "spent_usd + 2 * cost_usd < budget_usd",
        "spent_usd + cost_usd < budget_usd",
        (
            f"{ATTEMPTS}::test_another_host_is_tried_only_where_the_budget_lets_it_get_as_far_as_the_last",
        ),
    ),
    Mutation(
        "creates-cost-nothing",
        "what creates have cost by themselves is spent twice",
        f"{MARKET}/rentals/attempts.py",
        'spent_usd=self.spent_usd + sum(one["cost_usd"] for one in sent),',
        "spent_usd=self.spent_usd,",
        (f"{ATTEMPTS}::test_what_creates_have_cost_by_themselves_comes_out_of_the_budget",),
    ),
    Mutation(
        "ended-hosts-cost-nothing",
        "a host that ended by itself costs the budget nothing",
        f"{MARKET}/rentals/attempts.py",
        'cost = max(sum(one["cost_usd"] for one in released), attempt["cost_usd"])',
        'cost = sum(one["cost_usd"] for one in released)',
        (f"{ATTEMPTS}::test_a_host_that_ended_by_itself_has_cost_all_the_same",),
    ),
    Mutation(
        "machine-not-shunned",
        "the machine that failed is rented again",
        f"{MARKET}/rentals/attempts.py",
        'machines = [one["machine_id"] for one in self.attempts if one["machine_id"]]',
        "machines: list[str] = []",
        (
            f"{ATTEMPTS}::test_a_released_attempt_is_counted_with_what_the_release_says_that_it_cost",
        ),
    ),
    Mutation(
        "nonce-of-the-last-attempt",
        "a release of the last attempt would release the next one's rental",
        f"{MARKET}/rentals/attempts.py",
        "    ).begun()\n",
        "    )\n",
        (f"{ATTEMPTS}::test_every_attempt_has_a_nonce_of_its_own",),
    ),
    Mutation(
        "drawn-nonce-ignored",
        "what a killed call has rented cannot be found by the nonce that was drawn",
        f"{MODULES}/rental.py",
        'self._lifecycle.now(), options["nonce"])',
        "self._lifecycle.now(), None)",
        (f"{RENTALS}::test_what_is_rented_carries_the_nonce_that_was_drawn_before_the_call",),
    ),
    Mutation(
        "any-nonce-taken",
        "a nonce that no mark can carry makes a rental that nobody finds",
        f"{MARKET}/mark.py",
        "else check_nonce(nonce)",
        "else nonce",
        (f"{RENTALS}::test_a_nonce_that_no_mark_can_carry_is_refused_before_anything_is_rented",),
    ),
    Mutation(
        "failed-release-unsaid",
        "a release that failed is not told, and the rental bills",
        f"{MARKET}/rentals/outcome.py",
        "    if release.failed:\n",
        "    if False:\n",
        (f"{OUTCOME}::test_a_failed_deploy_says_what_bills",),
    ),
    Mutation(
        "killed-release-unexplained",
        "a release that is killed does not say that the rental may bill",
        f"{MARKET}/rentals/outcome.py",
        '    if "failure" in release.failed:\n',
        "    if release.failed:\n",
        (f"{OUTCOME}::test_a_failed_deploy_says_what_bills",),
    ),
    Mutation(
        "unlisted-unsaid",
        "a rental that may still appear is not told",
        f"{MARKET}/rentals/outcome.py",
        "        return _not_listed(release)\n",
        '        return ""\n',
        (f"{OUTCOME}::test_a_failed_deploy_says_what_bills",),
    ),
    Mutation(
        "killed-call-told-as-sent",
        "nobody is told that a call ended without a word",
        f"{MARKET}/rentals/outcome.py",
        "    if release.silent:\n        sent = ",
        "    if False:\n        sent = ",
        (f"{OUTCOME}::test_a_failed_deploy_says_what_bills",),
    ),
    Mutation(
        "older-rental-unsaid",
        "a rental that goes on billing is not told",
        f"{MARKET}/rentals/outcome.py",
        "    if rental:\n        return (\n",
        "    if False:\n        return (\n",
        (f"{OUTCOME}::test_a_failed_deploy_says_what_bills",),
    ),
    Mutation(
        "kept-without-its-cost",
        "a kept host is told without its cost",
        f"{MARKET}/rentals/outcome.py",
        "it has cost {cost_usd:.4f} ",
        "it has cost {0:.4f} ",
        (f"{OUTCOME}::test_a_failed_deploy_says_what_bills",),
    ),
    Mutation(
        "creates-cost-unsaid",
        "what creates have cost by themselves is not told",
        f"{MARKET}/rentals/outcome.py",
        "if not ledger.attempts and not ledger.spent_usd:",
        "if not ledger.attempts:",
        (f"{OUTCOME}::test_a_failed_deploy_says_what_earlier_attempts_and_creates_have_cost",),
    ),
    Mutation(
        "unproven-stop-called-proven",
        "a teardown says of a server that may still run that it is proven stopped",
        f"{MARKET}/rentals/ending.py",
        'if server.get("stopped") == "proven":',
        'if server.get("stopped"):',
        (f"{ENDING}::test_what_is_unproven_about_the_server_is_told",),
    ),
    Mutation(
        "remedy-of-a-stop-unsaid",
        "nobody is told what is left of the server and what to do about it",
        f"{MARKET}/rentals/ending.py",
        'remedy = server.get("remedy") or "nobody',
        'remedy = "nobody',
        (f"{ENDING}::test_what_is_unproven_about_the_server_is_told",),
    ),
    Mutation(
        "failed-stop-unsaid",
        "a server that could not be stopped is told as one that nobody looked at",
        f"{MARKET}/rentals/ending.py",
        'if ending.failed or server.get("failed"):',
        'if server.get("failed"):',
        (f"{ENDING}::test_what_kept_the_server_from_being_looked_at_is_told",),
    ),
    Mutation(
        "untold-price-is-nothing",
        "a rental whose price nobody tells is said to have cost nothing",
        f"{MARKET}/rentals/ending.py",
        '    if rental.get("price_usd_per_hour") is None:\n',
        "    if False:\n",
        (f"{ENDING}::test_a_price_that_is_not_told_is_not_shown_as_nothing",),
    ),
    Mutation(
        "pretended-release-told-as-done",
        "a check says that a rental is gone which goes on billing",
        f"{MARKET}/rentals/ending.py",
        'verb = "Would release" if ending.dry_run else "Released and proven gone:"',
        'verb = "Released and proven gone:"',
        (f"{ENDING}::test_check_mode_says_what_would_be",),
    ),
    Mutation(
        "disk-without-room",
        "a disk is rented that is full once the model lies on it",
        f"{MARKET}/offers/disk.py",
        "math.ceil(self.least_gib * (1 + _SPARE_SHARE) + _SPARE_GIB)",
        "math.ceil(self.least_gib)",
        (f"{DISK}::test_a_tenth_and_ten_gib_are_rented_beyond_what_is_taken",),
    ),
    Mutation(
        "stack-takes-no-disk",
        "the stack does not fit beside the model",
        f"{MARKET}/offers/disk.py",
        "return self.model_gib + self.stack_gib + self.reserve_gib",
        "return self.model_gib + self.reserve_gib",
        (f"{DISK}::test_a_tenth_and_ten_gib_are_rented_beyond_what_is_taken",),
    ),
    Mutation(
        "small-disk-taken",
        "a host is rented whose disk cannot hold the model",
        f"{MARKET}/offers/disk.py",
        "return self.least_gib if self.model_gib else 0.0",
        "return 0.0",
        (f"{DISK}::test_a_disk_is_refused_only_where_it_is_known_to_be_too_small",),
    ),
    Mutation(
        "unknown-size-refused",
        "a model of unknown size can be rented no disk",
        f"{MARKET}/offers/disk.py",
        "return self.least_gib if self.model_gib else 0.0",
        "return self.least_gib",
        (f"{DISK}::test_a_disk_is_refused_only_where_it_is_known_to_be_too_small",),
    ),
    Mutation(
        "other-disk-rented",
        "disk is paid for a model that lies on another one",
        f"{MARKET}/offers/disk.py",
        'if lies_elsewhere or model.startswith("/"):',
        'if model.startswith("/"):',
        (f"{DISK}::test_a_model_takes_what_the_hub_says_or_else_what_its_config_says",),
    ),
    Mutation(
        "hub-not-believed",
        "the size that the hub tells is not used",
        f"{MARKET}/offers/disk.py",
        "return asked_gib or computed_gib",
        "return computed_gib or asked_gib",
        (f"{DISK}::test_a_model_takes_what_the_hub_says_or_else_what_its_config_says",),
    ),
    Mutation(
        "untold-shown-as-none",
        "what an offer does not tell ends the run after the create",
        f"{MARKET}/offers/showing.py",
        'return "not told" if value in (None, "") else format(value, form)',
        "return format(value, form)",
        (f"{SHOWN}::test_what_an_offer_does_not_tell_is_said_to_be_not_told",),
    ),
)

ESTIMATE = "tests/unit/serving/test_estimate.py"
FILTER = "tests/unit/plugins/test_model_fit.py"
LOOK = "tests/unit/host/test_host_look.py"
JOBS = "tests/unit/host/test_jobs.py"
STACK = "tests/unit/host/test_stack.py"

#: Does the model fit? What is wrong here rents in vain, or refuses what would serve.
FITTING = (
    Mutation(
        "own-server-in-its-own-way",
        "a second deploy finds the GPU full of its own server and refuses",
        f"{SERVING}/estimate.py",
        'used = memory_before_mib.get(gpu.get("uuid", ""), gpu.get("memory_used_mib"))',
        'used = gpu.get("memory_used_mib")',
        (
            f"{ESTIMATE}::test_a_server_that_runs_is_counted_as_if_it_were_stopped_or_nothing_is_said",
        ),
    ),
    Mutation(
        "running-server-guessed",
        "where nobody noted what the GPU holds without the server, its memory counts as taken",
        f"{SERVING}/estimate.py",
        'if server["processes"] and (on_cpu or not server["memory_before_mib"]):',
        'if server["processes"] and on_cpu:',
        (
            f"{ESTIMATE}::test_a_server_that_runs_is_counted_as_if_it_were_stopped_or_nothing_is_said",
        ),
    ),
    Mutation(
        "cpu-server-counted",
        "on a CPU what the running server holds counts as taken",
        f"{SERVING}/estimate.py",
        'if server["processes"] and (on_cpu or not server["memory_before_mib"]):',
        'if server["processes"] and not server["memory_before_mib"]:',
        (f"{ESTIMATE}::test_on_a_cpu_nobody_knows_what_a_server_that_runs_holds",),
    ),
    Mutation(
        "limit-forgotten",
        "a container may take what the machine around it has free",
        f"{SERVING}/estimate.py",
        'for name in ("memory_available_mib", "memory_limit_mib") if host[name]]',
        'for name in ("memory_available_mib",) if host[name]]',
        (f"{ESTIMATE}::test_on_a_cpu_the_smaller_of_what_is_free_and_what_is_allowed_counts",),
    ),
    Mutation(
        "room-forgotten",
        "the KV cache that a server on a CPU is given does not count",
        f"{SERVING}/estimate.py",
        "float(space or DEFAULT_KV_CACHE_GIB)",
        "DEFAULT_KV_CACHE_GIB",
        (f"{ESTIMATE}::test_on_a_cpu_the_room_that_the_server_is_given_counts",),
    ),
    Mutation(
        "every-gpu-seen",
        "GPUs that are hidden from the server count",
        f"{SERVING}/estimate.py",
        'wish.environment.get("CUDA_VISIBLE_DEVICES") or ""',
        '""',
        (f"{ESTIMATE}::test_only_gpus_that_the_server_sees_count",),
    ),
    Mutation(
        "given-config-first",
        "the config of the inventory is believed before that of the files that are served",
        f"{SERVING}/estimate.py",
        'config = look["model"]["config"] or wish.model_config',
        'config = wish.model_config or look["model"]["config"]',
        (
            f"{ESTIMATE}::test_the_config_on_the_host_counts_and_a_given_one_takes_its_place_"
            "where_it_lacks",
        ),
    ),
    Mutation(
        "words-unread",
        "options among the further words do not count",
        f"{SERVING}/estimate.py",
        '"extra_args": wish.extra_args,',
        '"extra_args": (),',
        (f"{ESTIMATE}::test_options_in_either_form_count",),
    ),
    Mutation(
        "published-size-ignored",
        "the size of the files is guessed though they state it",
        f"{SERVING}/estimate.py",
        '{"metadata": {"total_size": size}} if size else {}',
        "{}",
        (f"{ESTIMATE}::test_what_was_left_open_is_chosen_for_the_gpus_of_the_host",),
    ),
    Mutation(
        "unread-file-believed",
        "a file of options that nobody has read changes nothing",
        f"{SERVING}/estimate.py",
        "        if unread:\n",
        "        if False:\n",
        (FILTER,),
    ),
    Mutation(
        "addition-overlooked",
        "an adapter or a draft model takes no memory",
        f"{SERVING}/estimate.py",
        '    fits = "no" if fit["fits"] == "no" else "unknown"\n',
        '    fits = fit["fits"]\n',
        (FILTER,),
    ),
    Mutation(
        "divided-gpu-is-whole",
        "a server is promised a GPU of which it has a part",
        f"{SERVING}/estimate.py",
        "    if divided:\n",
        "    if False:\n",
        (FILTER,),
    ),
)

#: One look says that nothing has to be done: then nothing is done.
LOOKING = (
    Mutation(
        "wish-not-compared",
        "a changed wish is never fulfilled, because the old one was",
        f"{HOST}/server/asked.py",
        'if not asked or asked.get("wishes") != wishes:',
        "if not asked:",
        (f"{LOOK}::test_another_wish_is_not_what_was_asked",),
    ),
    Mutation(
        "specification-not-compared",
        "a server that somebody started otherwise counts as the one that was asked for",
        f"{HOST}/server/asked.py",
        'if spec is None or not spec.hash == seen["spec_hash"] == asked.get("spec_hash"):',
        "if spec is None:",
        (f"{LOOK}::test_a_server_that_somebody_started_otherwise_or_stopped_is_seen",),
    ),
    Mutation(
        "lock-not-compared",
        "a stack that somebody replaced counts as the one that was asked for",
        f"{HOST}/server/asked.py",
        'if lock_sha256 != asked.get("lock_sha256"):',
        "if not lock_sha256:",
        (f"{LOOK}::test_whatever_changed_on_the_host_is_seen",),
    ),
    Mutation(
        "receipts-not-read",
        "a proof of another driver, boot or lock counts",
        "plugins/modules/host_look.py",
        "told = stack.unproven(PARTS)",
        "told = []",
        (f"{LOOK}::test_whatever_changed_on_the_host_is_seen",),
    ),
    Mutation(
        "packages-not-read",
        "packages that were exchanged count as those of the lock",
        f"{HOST}/stack/stack.py",
        "if not told and self.differences([]):",
        "if not told and not self.locked():",
        (f"{LOOK}::test_whatever_changed_on_the_host_is_seen",),
    ),
    Mutation(
        "model-not-read",
        "a model whose files were changed counts as the one that was proven",
        "plugins/modules/host_look.py",
        'told += [f"{name} of the model was changed" for name in Copy(folder).altered()]',
        "told += []",
        (f"{LOOK}::test_whatever_changed_on_the_host_is_seen",),
    ),
    Mutation(
        "nobody-asked-for-a-completion",
        "a server that is frozen counts as one that serves",
        "plugins/modules/host_look.py",
        "told = [answer.detail] if answer.waiting_for else []",
        "told = []",
        (f"{LOOK}::test_a_server_that_is_frozen_or_completes_no_more_is_seen",),
    ),
    Mutation(
        "other-gpu-is-the-same",
        "a host whose GPU was exchanged is not planned anew",
        f"{HOST}/server/asked.py",
        'if _identities(report) != asked.get("gpus"):',
        "if report is None:",
        (f"{LOOK}::test_other_gpus_are_seen",),
    ),
)

#: What takes minutes outlives the connection, and says what was proven.
WORKING = (
    Mutation(
        "work-in-the-session",
        "the installation ends with the connection",
        f"{HOST}/machine/jobs.py",
        "            os.setsid()\n",
        "            pass\n",
        (f"{JOBS}::test_the_work_outlives_the_call_that_began_it",),
    ),
    Mutation(
        "dead-work-awaited",
        "a host that killed the installation is waited for until nobody pays any more",
        f"{HOST}/machine/jobs.py",
        "            if not at_work:\n",
        "            if False:\n",
        (f"{JOBS}::test_work_that_was_killed_is_not_waited_for",),
    ),
    Mutation(
        "first-part-blamed",
        "of parts that are proven together the wrong one is named",
        f"{HOST}/stack/stack.py",
        "if failure and number == len(said) - 1:",
        "if failure:",
        (f"{STACK}::test_of_parts_that_are_proven_together_the_one_that_fails_is_named",),
    ),
)

MUTATIONS = (
    *ANSWERS,
    *PROOFS,
    *CREATES,
    *PRICES,
    *OWNERSHIP,
    *DEADLINES,
    *ATTEMPTING,
    *CHECK_MODE,
    *LIMITS,
    *HOSTS,
    *SERVERS,
    *DECISIONS,
    *SEAM,
    *FITTING,
    *LOOKING,
    *WORKING,
)
