"""Who is who: sessions and their families of tokens, the second factor, one-time links, attempts at passwords,
members, keys."""

# ruff: noqa: E501 -- the texts are those of the product, as they stand there

from collections.abc import Sequence

from tests.mutation.guards.guard import Guard, guard

_SERVICE = "domains/identity/service.py"
_SESSIONS = "domains/identity/session_queries.py"
_LINKS = "domains/identity/links.py"
_LINK_ROWS = "domains/identity/link_queries.py"
_ATTEMPTS = "domains/identity/attempts.py"
_MEMBERS = "domains/identity/members.py"
_KEYS = "domains/identity/keys.py"
_KEY_ROWS = "domains/identity/key_queries.py"
_API_KEYS = "domains/identity/api_keys.py"
_USERS = "domains/identity/queries.py"
_FACTORS = "domains/identity/factors.py"
_FACTOR_ROWS = "domains/identity/factor_queries.py"
_ROUTE = "api/routes/factor.py"
_IDLE = "db/identity::test_a_session_that_nobody_uses_ends_and_one_that_is_used_ends_after_its_time_all_the_same"

IDENTITY: Sequence[Guard] = (
    # Families of refresh tokens
    guard(
        "refresh: a token that the session gave out",
        "db/identity::test_a_made_up_token_does_not_end_the_session_that_it_names",
        (_SERVICE, "if not given.is_of(row.family_key):", "if False:"),
    ),
    guard(
        "refresh: only just before",
        "db/identity::test_the_token_before_counts_no_longer_once_its_successor_was_used",
        (_SERVICE, "    if just_before and row.successor", "    if row.successor"),
    ),
    guard(
        "refresh: only within the grace",
        "db/identity::test_the_token_before_counts_no_longer_than_the_grace_and_then_ends_the_family",
        (_SERVICE, " and now - row.rotated_at <= REUSE_GRACE:", ":"),
    ),
    guard(
        "refresh: a copied token ends the family",
        "db/identity::test_the_token_before_counts_no_longer_once_its_successor_was_used",
        (_SERVICE, '    await session_queries.revoke(session, session_id=row.id, now=now, because="reused")\n', ""),
    ),
    guard(
        "refresh: the session is locked",
        "db/identity::test_of_two_refreshes_at_once_both_get_the_same_successor",
        (_SESSIONS, "        .with_for_update(of=Session)\n", ""),
    ),
    guard(
        "refresh: a session that has not ended",
        "db/identity::test_a_session_that_ends_while_it_is_refreshed_stays_ended",
        (
            _SESSIONS,
            "            Session.id == session_id,\n            Session.revoked_at.is_(None),\n",
            "            Session.id == session_id,\n",
        ),
    ),
    guard(
        "refresh: a session whose time is not over",
        "api/auth::test_a_session_ends_after_seven_days_whatever_happens",
        (_SESSIONS, "            Session.expires_at > now,\n            User", "            User"),
    ),
    guard(
        "refresh: a lost token is sealed by the one before",
        "unit/refresh::test_only_the_token_before_opens_the_seal",
        (
            "domains/identity/refresh.py",
            'return _xor(successor.secret, hmac.digest(self.secret, _PAD, "sha256"))',
            "return successor.secret",
        ),
        ("domains/identity/refresh.py", '_xor(sealed, hmac.digest(self.secret, _PAD, "sha256"))', "sealed"),
    ),
    guard(
        "request: a session that has not ended",
        "api/auth::test_signing_out_ends_access_and_refresh_at_once",
        (_USERS, "u.id = $2 AND s.revoked_at IS NULL AND", "u.id = $2 AND"),
    ),
    guard(
        "request: a session whose time is not over",
        "api/auth::test_a_session_that_nobody_uses_ends_by_itself",
        (
            _USERS,
            "WHERE s.id = $1 AND u.id = $2 AND s.revoked_at IS NULL AND s.expires_at > now() AND",
            "WHERE s.id = $1 AND u.id = $2 AND s.revoked_at IS NULL AND",
        ),
    ),
    guard(
        "request: the session of who is named",
        "api/forged_tokens::test_a_forged_token_is_refused",
        (_USERS, "WHERE s.id = $1 AND u.id = $2 AND", "WHERE s.id = $1 AND $2::uuid IS NOT NULL AND"),
    ),
    guard(
        "token: signed by us",
        "api/forged_tokens::test_a_forged_token_is_refused",
        (
            "api/tokens.py",
            'options={"require": [*_TEXTS, *_TIMES]},',
            'options={"require": [*_TEXTS, *_TIMES], "verify_signature": False},',
        ),
    ),
    guard(
        "token: of this kind of head",
        "api/forged_tokens::test_a_forged_token_is_refused",
        ("api/tokens.py", " or jwt.get_unverified_header(token) != HEADER:", ":"),
    ),
    guard(
        "token: of this use",
        "api/forged_tokens::test_a_forged_token_is_refused",
        ("api/tokens.py", '            if claims["typ"] != TYPE:', "            if False:"),
    ),
    guard(
        "token: claims of our types",
        "api/forged_tokens::test_a_forged_token_is_refused",
        ("api/tokens.py", "            _check_claims(claims)\n", ""),
    ),
    guard(
        "token: read before, and run out since",
        "unit/tokens::test_a_token_that_was_read_before_runs_out_all_the_same",
        ("api/tokens.py", "if claims is not None and time.time() < until:", "if claims is not None:"),
    ),
    # Passwords
    guard(
        "sign-in: the password that was checked",
        "db/identity::test_a_sign_in_that_races_with_a_new_password_leaves_no_session",
        (_USERS, "User.password_hash == password_hash, ", ""),
    ),
    guard(
        "sign-in: the password stays while the session is opened",
        "db/identity::test_a_new_password_ends_a_session_that_is_being_opened_with_the_old_one",
        (_USERS, "        .with_for_update(read=True)\n", ""),
    ),
    guard(
        "sign-in: who is disabled is nobody",
        "api/auth::test_a_disabled_user_can_neither_sign_in_nor_go_on",
        (
            _SERVICE,
            "    if user is None or user.disabled_at is not None:\n        return Credentials(None, None)",
            "    if user is None:\n        return Credentials(None, None)",
        ),
        (
            _USERS,
            ", User.disabled_at.is_(None))\n        .with_for_update(read=True)",
            ")\n        .with_for_update(read=True)",
        ),
    ),
    guard(
        "password: the one that was checked is replaced",
        "db/identity::test_of_two_new_passwords_at_once_the_second_is_refused",
        (_SERVICE, " or user.password_hash != credentials.password_hash:", ":"),
    ),
    guard(
        "password: a new one ends all sessions",
        "api/own_account::test_a_new_password_needs_the_present_one_and_ends_all_sessions",
        (_SERVICE, '    await session_queries.revoke_all(session, user_id=user.id, now=now, because="password")\n', ""),
    ),
    guard(
        "password: what would be guessed",
        "unit/passwords::test_what_everybody_would_try_first_may_not",
        (
            "domains/identity/passwords.py",
            "    if _guesses(password[:_ESTIMATED], words) < MIN_GUESSES:",
            "    if False:",
        ),
    ),
    guard(
        "password: long enough",
        "unit/passwords::test_one_that_is_too_short_or_endless_may_not",
        ("domains/identity/passwords.py", "    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:", "    if False:"),
    ),
    guard(
        "password: nobody has one",
        "unit/passwords::test_nobody_has_a_password_and_it_costs_as_much_to_find_out",
        (
            "domains/identity/passwords.py",
            "_hasher.verify(_prepared(password), stored or _NOBODY)",
            "stored is not None and _hasher.verify(_prepared(password), stored)",
        ),
    ),
    guard(
        "disable: sessions and links end",
        "api/people::test_who_is_disabled_is_out_at_once_and_comes_back_with_the_same_password",
        (_SERVICE, '    await session_queries.revoke_all(session, user_id=user.id, now=now, because="disabled")\n', ""),
    ),
    guard(
        "standing: an administrator, looked at under the lock",
        "db/identity::test_of_two_administrators_who_disable_each_other_one_stays",
        (_SERVICE, "    if principal.user_id not in administrators:", "    if False:"),
    ),
    guard(
        "standing: the administrators are locked",
        "db/identity::test_of_two_administrators_who_disable_each_other_one_stays",
        (
            _USERS,
            "        .order_by(User.id)\n        .with_for_update(key_share=True)\n",
            "        .order_by(User.id)\n",
        ),
    ),
    guard(
        "standing: nobody of themselves",
        "api/people::test_nobody_disables_themselves_and_somebody_else_can",
        (_SERVICE, "    if user_id == principal.user_id:", "    if False:"),
    ),
    guard(
        "disable: a project keeps an owner",
        "api/people::test_the_only_owner_of_projects_is_not_disabled_until_they_have_another",
        (_SERVICE, "    await check_not_needed(session, user_id=user.id)\n", ""),
    ),
    guard(
        "disable: an owner who may sign in",
        "api/people::test_the_only_owner_of_projects_is_not_disabled_until_they_have_another",
        ("owned_alone", "AND u.disabled_at IS NULL AND u.kind", "AND u.kind"),
    ),
    guard(
        "disable: the owners are locked",
        "api/people::test_of_two_owners_who_are_disabled_at_once_one_stays",
        ("owned_alone", "    ORDER BY m.project_id, m.user_id FOR UPDATE;", "    ORDER BY m.project_id, m.user_id;"),
    ),
    # Ends of sessions
    guard(
        "session: one that nobody uses ends",
        _IDLE,
        (_SERVICE, "expires_at=now + min(idle, lifetime),", "expires_at=now + lifetime,"),
    ),
    guard(
        "session: one that is used no more ends",
        _IDLE,
        (_SERVICE, "expires_at = min(row.ends_at, now + idle)", "expires_at = row.ends_at"),
    ),
    guard(
        "session: one that is used ends after its time all the same",
        _IDLE,
        (_SERVICE, "expires_at = min(row.ends_at, now + idle)", "expires_at = now + idle"),
    ),
    guard(
        "sign-out: led to the provider where the session began",
        "api/oidc::test_who_did_not_come_from_this_provider_is_not_led_there",
        (
            "api/routes/auth.py",
            "known = door.oidc is not None and issuer == door.oidc.settings.issuer",
            "known = door.oidc is not None",
        ),
    ),
    # Pages of others
    guard(
        "origin: what acts on the cookie of a session",
        "api/auth::test_a_page_of_another_origin_cannot_refresh",
        (
            "api/routes/auth.py",
            "responses=problems(401, 403), dependencies=[Depends(same_origin)], openapi",
            "responses=problems(401, 403), openapi",
        ),
    ),
    guard(
        "origin: what acts on the cookie of a challenge",
        "api/second_factor_challenge::test_a_sign_in_goes_on_in_its_own_browser_only",
        (
            "api/routes/auth.py",
            "    responses=problems(401, 403, 429, 503),\n    dependencies=[Depends(same_origin)],\n",
            "    responses=problems(401, 403, 429, 503),\n",
        ),
    ),
    guard(
        "origin: this server or one of the list",
        "api/auth::test_a_page_of_another_origin_cannot_refresh",
        ("api/deps.py", "    if netloc != host or (", "    if ("),
    ),
    # The second factor
    guard(
        "factor: asked for",
        "api/second_factor_sign_in::test_signing_in_takes_the_password_and_then_a_code",
        (_FACTORS, "    if await factor_queries.confirmed_at(session, user_id=user.id) is None:\n", "    if True:\n"),
    ),
    guard(
        "factor: a challenge is used up",
        "api/second_factor_sign_in::test_of_one_challenge_with_several_good_codes_at_once_comes_one_session",
        (
            _FACTORS,
            "    if not await factor_queries.use_challenge(session, user_id=user.id, token_hash=_hash(token), now=now):\n        raise ChallengeVoid()\n",
            "",
        ),
    ),
    guard(
        "factor: a challenge in time",
        "api/second_factor_challenge::test_a_sign_in_waits_for_five_minutes",
        (_FACTOR_ROWS, "Challenge.expires_at > now, User.disabled_at.is_(None)", "User.disabled_at.is_(None)"),
        (_FACTOR_ROWS, "Challenge.user_id == user_id, Challenge.expires_at > now)", "Challenge.user_id == user_id)"),
    ),
    guard(
        "factor: a code once",
        "api/second_factor_sign_in::test_a_code_works_once",
        (
            _FACTOR_ROWS,
            "SecondFactor.user_id == user_id, SecondFactor.last_step < step",
            "SecondFactor.user_id == user_id",
        ),
    ),
    guard(
        "factor: a recovery code once",
        "api/second_factor_sign_in::test_a_recovery_code_works_once",
        (
            _FACTOR_ROWS,
            "RecoveryCode.code_hash == code_hash, RecoveryCode.used_at.is_(None))",
            "RecoveryCode.code_hash == code_hash)",
        ),
    ),
    guard(
        "factor: a recovery code of this person",
        "api/second_factor_sign_in::test_nobody_signs_in_with_a_recovery_code_of_somebody_else",
        (
            _FACTOR_ROWS,
            "RecoveryCode.user_id == user_id, RecoveryCode.code_hash == code_hash",
            "RecoveryCode.code_hash == code_hash",
        ),
    ),
    guard(
        "factor: a key of this person",
        "api/second_factor::test_a_key_that_was_moved_to_somebody_else_opens_nothing",
        (
            _FACTOR_ROWS,
            'return Place(None, f"second-factor {user_id} {factor_id}", 1)',
            'return Place(None, "second-factor", 1)',
        ),
    ),
    guard(
        "factor: the app has shown that it has the key",
        "api/second_factor::test_a_key_is_shown_once_and_counts_when_the_app_has_shown_that_it_has_it",
        (_FACTORS, "    if step is None:\n        raise wrong_code()\n", "    step = step or 0\n"),
    ),
    guard(
        "factor: a key that was shown lately",
        "api/second_factor::test_a_key_that_was_shown_long_ago_is_confirmed_no_more",
        (_FACTORS, " or factor.begun_at + BEGUN_LIFETIME <= now:", ":"),
    ),
    guard(
        "factor: a change ends other sessions",
        "api/second_factor::test_setting_up_ends_every_other_session",
        (
            _SERVICE,
            "    await session_queries.revoke_all(session, user_id=principal.user_id, now=now, because=because)\n",
            "",
        ),
    ),
    guard(
        "factor: a change ends the session that acts, too",
        "api/second_factor::test_a_token_from_before_gets_no_second_factor",
        (
            _SERVICE,
            "not await session_queries.revoke(session, session_id=acting, now=now, because=because)",
            "not acting",
        ),
        (
            _SERVICE,
            "user_id=principal.user_id, now=now, because=because)",
            "user_id=principal.user_id, now=now, because=because, but=acting)",
        ),
    ),
    guard(
        "factor: who removes it is without it",
        "api/second_factor_demanded::test_who_sets_up_what_is_demanded_goes_on",
        (_ROUTE, 'methods = principal.methods - {"totp", "recovery"}', "methods = principal.methods"),
    ),
    guard(
        "factor: a new password ends a sign-in that waits",
        "api/second_factor_challenge::test_a_sign_in_that_waits_ends_with_what_it_was_begun_with",
        (
            _SERVICE,
            'because="password")\n    await factor_queries.void_challenges(session, user_id=user.id)\n',
            'because="password")\n',
        ),
    ),
    guard(
        "factor: own attempts are counted",
        "api/second_factor_loss::test_who_is_signed_in_changes_it_by_password_and_code_alone",
        (
            "api/second_factor.py",
            "    await door.throttle.take_one(attempts.OWN_FACTOR, who, caller=caller, email=principal.email)\n",
            "",
        ),
    ),
    guard(
        "factor: demanded of requests",
        "api/second_factor_demanded::test_where_it_is_demanded_a_session_without_it_is_good_for_setting_it_up_alone",
        ("api/deps.py", "        if not is_for_unfinished(route):\n", "        if False:\n"),
    ),
    guard(
        "factor: demanded of who opens a socket",
        "api/second_factor_demanded::test_a_socket_ends_when_a_second_factor_comes_to_be_demanded",
        ("api/routes/live.py", "        check_second_factor(door.settings, principal)\n", ""),
    ),
    guard(
        "factor: demanded of who has a socket open",
        "api/second_factor_demanded::test_a_socket_ends_when_a_second_factor_comes_to_be_demanded",
        (
            "api/live.py",
            "await socket.allow(None if holder is None or self._refuses(holder) else holder)",
            "await socket.allow(holder)",
        ),
    ),
    # One-time links
    guard(
        "link: once",
        "db/identity::test_of_two_who_use_a_link_at_once_one_may",
        (
            _LINK_ROWS,
            "        update(AccountLink)\n        .where(\n            AccountLink.token_hash == token_hash,\n            AccountLink.used_at.is_(None),\n",
            "        update(AccountLink)\n        .where(\n            AccountLink.token_hash == token_hash,\n",
        ),
    ),
    guard(
        "link: not replaced while it is used",
        "db/identity::test_a_link_is_used_while_another_one_is_made_and_nobody_waits_in_a_circle",
        (
            _LINK_ROWS,
            "            AccountLink.replaced_at.is_(None),\n            AccountLink.expires_at > now,\n        )\n        .values",
            "            AccountLink.expires_at > now,\n        )\n        .values",
        ),
    ),
    guard(
        "link: in time",
        "db/identity::test_a_link_ends_when_its_time_is_over_or_its_user_is_disabled",
        (
            _LINK_ROWS,
            "            AccountLink.expires_at > now,\n        )\n        .values",
            "        )\n        .values",
        ),
        (_LINK_ROWS, "            AccountLink.expires_at > now,\n        )\n    )", "        )\n    )"),
    ),
    guard(
        "link: not of who is disabled",
        "db/identity::test_a_link_ends_when_its_time_is_over_or_its_user_is_disabled",
        (_LINKS, "    if user is not None and user.disabled_at is not None:\n", "    if False:\n"),
        (
            _LINKS,
            "    if user is None or user.disabled_at is not None:\n        raise LinkVoid()",
            "    if user is None:\n        raise LinkVoid()",
        ),
    ),
    guard(
        "link: a newer one replaces it",
        "api/own_account::test_the_newest_link_alone_works_and_not_for_long",
        (_LINKS, "    await link_queries.replace_links(session, user_id=user_id, now=now)\n", ""),
    ),
    guard(
        "link: stored as a digest",
        "api/own_account::test_the_token_of_a_link_is_stored_nowhere",
        (_LINKS, 'return hashlib.sha256(b"sparkops link " + token.encode()).hexdigest()', "return token"),
    ),
    guard(
        "set-up: a link for it",
        "db/identity::test_a_set_up_link_is_no_reset_link_and_a_reset_link_no_set_up",
        (_LINKS, " or row.purpose != Purpose.SETUP:", ":"),
    ),
    guard(
        "set-up: nobody is there",
        "db/identity::test_an_installation_with_people_cannot_be_set_up",
        (_LINKS, "    if await queries.has_users(session):", "    if False:"),
    ),
    # Attempts
    guard(
        "attempts: a wait is kept",
        "unit/attempts::test_so_many_are_free_and_then_there_is_a_wait_that_doubles",
        (_ATTEMPTS, "    if count.blocked_until is not None and count.blocked_until > now:", "    if False:"),
    ),
    guard(
        "attempts: after the free ones",
        "unit/attempts::test_so_many_are_free_and_then_there_is_a_wait_that_doubles",
        (_ATTEMPTS, "    if used >= rule.free:", "    if False:"),
    ),
    guard(
        "attempts: nobody is locked out for good",
        "unit/attempts::test_nobody_is_ever_locked_out_for_longer_than_the_longest_wait",
        (
            _ATTEMPTS,
            "now + min(rule.longest, rule.wait * 2 ** min(used - rule.free, 30))",
            "now + rule.wait * 2 ** min(used - rule.free, 30)",
        ),
    ),
    guard(
        "attempts: counted one after the other",
        "db/identity::test_an_attempt_waits_for_one_that_is_being_counted",
        (
            _ATTEMPTS,
            "ON CONFLICT (key) DO UPDATE SET key = excluded.key\nRETURNING a.used, a.forget_at, a.blocked_until, a.refused, clock_timestamp() AS now\n",
            "ON CONFLICT (key) DO NOTHING\nRETURNING a.used, a.forget_at, a.blocked_until, a.refused, clock_timestamp() AS now\n",
        ),
        (
            _ATTEMPTS,
            "    row = await connection.fetchrow(_LOCK, key)\n",
            '    row = await connection.fetchrow(_LOCK, key) or await connection.fetchrow("SELECT *, clock_timestamp() AS now FROM attempts WHERE key = $1", key)\n',
        ),
    ),
    guard(
        "attempts: addresses are kept as digests",
        "unit/attempts::test_the_table_does_not_say_which_addresses_were_tried",
        (_ATTEMPTS, "{hashlib.sha256(what.strip().casefold().encode()).hexdigest()}", "{what}"),
    ),
    guard(
        "throttle: what the count says",
        "api/auth::test_guessing_is_stopped_by_what_the_database_has_counted",
        ("api/throttle.py", "        if verdict.wait is None:", "        if True:"),
    ),
    guard(
        "throttle: by account",
        "api/auth::test_guessing_is_stopped_by_what_the_database_has_counted",
        (
            "api/throttle.py",
            "return (attempts.ADDRESS, caller.address), account",
            "return ((attempts.ADDRESS, caller.address),)",
        ),
    ),
    guard(
        "throttle: by address",
        "api/auth::test_one_address_tries_so_many_accounts_and_no_more",
        (
            "api/throttle.py",
            "return (attempts.ADDRESS, caller.address), account",
            "return (account,)",
        ),
    ),
    guard(
        "throttle: a browser that was signed in counts by itself",
        "api/auth::test_strangers_keep_nobody_out_who_was_signed_in_with_this_browser",
        ("api/throttle.py", " if device is None else (attempts.DEVICE, device)", ""),
    ),
    guard(
        "throttle: such a browser of this very account",
        "api/auth::test_what_a_browser_kept_of_one_account_is_nothing_to_another",
        ("api/tokens.py", "named + generation.encode()", "named"),
    ),
    guard(
        "throttle: such a browser of the account as it is now",
        "api/second_factor_sign_in::test_many_browsers_that_were_signed_in_find_no_code",
        (_FACTOR_ROWS, '" ".join(map(str, found))', "str(found[0])"),
    ),
    guard(
        "throttle: codes of all browsers together",
        "api/second_factor_sign_in::test_many_browsers_that_were_signed_in_find_no_code",
        ("api/throttle.py", "            (attempts.FACTOR_ALL, who),\n", ""),
    ),
    guard(
        "throttle: what a browser kept runs out",
        "unit/tokens::test_what_a_browser_kept_counts_until_it_has_run_out_or_the_account_has_changed",
        ("api/tokens.py", "nonce.hex() if now.timestamp() < until else None", "nonce.hex() if until else None"),
    ),
    # Members
    guard(
        "members: owners alone make and unmake owners",
        "api/members::test_owners_alone_make_and_unmake_owners",
        (_MEMBERS, "    if Role.OWNER in (before, after) and", "    if False and"),
    ),
    guard(
        "members: a project keeps an owner",
        "api/members::test_a_project_keeps_an_owner_who_may_sign_in",
        (_MEMBERS, "    if not await session.scalar(others):", "    if False:"),
    ),
    guard(
        "members: an owner who may sign in",
        "api/members::test_a_project_keeps_an_owner_who_may_sign_in",
        (_MEMBERS, "            User.disabled_at.is_(None),\n", ""),
    ),
    guard(
        "members: the owners are locked",
        "api/members::test_of_two_owners_who_remove_each_other_at_once_one_stays",
        (_MEMBERS, ".order_by(Membership.user_id).with_for_update()", ".order_by(Membership.user_id)"),
    ),
    guard(
        "members: a service account belongs to one project",
        "api/service_accounts::test_an_account_never_signs_in_and_belongs_to_one_project",
        (_MEMBERS, "    if user is None or user.kind != PERSON:", "    if user is None:"),
    ),
    # Keys
    guard(
        "key: its check",
        "unit/keys::test_every_single_typo_is_refused",
        (_KEYS, '    if found is None or found["check"] != _check_of(text[:-CHECK_CHARS]):', "    if found is None:"),
    ),
    guard(
        "key: its secret",
        "api/api_keys::test_the_id_of_a_key_with_another_secret_is_refused_and_noted_once_a_minute",
        (
            _KEYS,
            "return hmac.compare_digest(presented.digest, stored or _NOBODY) and stored is not None",
            "return stored is not None",
        ),
    ),
    guard(
        "key: revoked",
        "api/api_keys::test_a_revoked_key_is_refused_from_the_next_request_on",
        (_KEY_ROWS, "k.revoked_at IS NULL AND (k.expires_at", "(k.expires_at"),
    ),
    guard(
        "key: run out",
        "api/api_keys::test_a_key_that_has_run_out_is_refused",
        (_KEY_ROWS, " AND (k.expires_at IS NULL OR k.expires_at > now())", ""),
    ),
    guard(
        "key: of who is disabled",
        "api/api_keys::test_a_key_of_somebody_who_was_disabled_is_refused",
        (_KEY_ROWS, " AND u.disabled_at IS NULL AS live", " AS live"),
    ),
    guard(
        "key: its projects",
        "api/api_keys::test_a_key_reaches_no_project_but_its_own",
        (
            _KEY_ROWS,
            "FROM api_key_projects r JOIN memberships m ON m.project_id = r.project_id AND m.user_id = k.user_id\n          JOIN projects p ON p.id = r.project_id WHERE r.key_id = k.id)",
            "FROM memberships m\n          JOIN projects p ON p.id = m.project_id WHERE m.user_id = k.user_id)",
        ),
    ),
    guard(
        "key: no more than its maker",
        "api/api_keys::test_nobody_gives_a_key_what_they_may_not_do",
        (_API_KEYS, "    if lacking:", "    if False:"),
    ),
    guard(
        "key: nothing that is for people",
        "api/api_keys::test_no_key_says_who_belongs_to_a_project_not_even_one_that_was_given_that",
        (_API_KEYS, "    if never:", "    if False:"),
    ),
    guard(
        "key: its scopes",
        "api/api_keys::test_a_key_does_what_it_was_given_and_nothing_else",
        (
            "core/principal.py",
            "        if self.scopes is not None and permission not in self.scopes:",
            "        if False:",
        ),
    ),
    guard(
        "key: as many as anybody can keep an eye on",
        "api/api_keys::test_nobody_has_more_keys_than_they_can_keep_an_eye_on",
        (_API_KEYS, "    if await queries.live_keys(session, user_id=user_id) >= MAX_LIVE_KEYS:", "    if False:"),
    ),
)
