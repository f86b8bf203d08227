"""What stands before the routes: rates, keys of repetition, tickets, bodies, origins; and what may be reached outside."""

# ruff: noqa: E501 -- the texts are those of the product, as they stand there

from collections.abc import Sequence

from tests.mutation.guards.guard import Guard, guard

_RATES = "api/rates.py"
_ONCE = "api/once.py"
_KEPT = "domains/idempotency/queries.py"
_TICKETS = "api/tickets.py"
_CONNECTIONS = "api/connections.py"
_EGRESS = "runtime/egress.py"

GATEWAY: Sequence[Guard] = (
    # Rates
    guard(
        "rates: not one more",
        "unit/rates::test_a_window_holds_what_it_says_and_not_one_more",
        (_RATES, "        if used >= limit:", "        if used > limit:"),
    ),
    guard(
        "rates: the window slides",
        "unit/rates::test_the_window_slides_so_that_no_moment_sees_twice_the_limit",
        (_RATES, " + count.before * (1 - into / WINDOW_SECONDS)", ""),
    ),
    guard(
        "rates: what others have counted",
        "unit/rates::test_processes_count_together",
        (_RATES, "used = count.here + count.elsewhere + count.before", "used = count.here + count.before"),
    ),
    guard(
        "rates: who is refused does not count",
        "unit/rates::test_who_is_refused_is_let_in_again_although_they_hammer",
        (_RATES, "        if used >= limit:\n", "        if used >= limit:\n            count.here += 1\n"),
    ),
    guard(
        "rates: bounded memory",
        "unit/rates::test_memory_is_bounded_whoever_asks",
        (_RATES, "            if len(self._counts) >= MAX_TRACKED:", "            if False:"),
    ),
    guard(
        "rates: a flushed Redis opens nothing",
        "unit/rates::test_a_flushed_redis_does_not_open_the_gate",
        (_RATES, "count.elsewhere = max(0, int(total) - count.told)", "count.elsewhere = int(total) - count.told"),
    ),
    guard(
        "rates: no more passwords from an address than of a caller",
        "unit/rates::test_an_address_may_more_than_a_caller_but_not_guess_more_passwords",
        (_RATES, "factor = 1 if route_class is RouteClass.SIGN_IN else self._factor", "factor = self._factor"),
    ),
    guard(
        "rates: an address",
        "api/gateway::test_an_address_is_limited_whoever_asks_from_there",
        (
            _RATES,
            'return self._take(f"address:{address}", route_class, self._limits[route_class] * factor)',
            'return self._take(f"address:{address}", route_class, 1 << 30)',
        ),
    ),
    guard(
        "rates: a caller",
        "api/gateway::test_a_caller_who_asks_too_often_is_told_when_to_come_back",
        (
            _RATES,
            'return self._take(f"caller:{caller}", route_class, self._limits[route_class])',
            'return self._take(f"caller:{caller}", route_class, 1 << 30)',
        ),
    ),
    # The same request once
    guard(
        "once: the same request",
        "api/once::test_another_request_with_the_same_key_is_refused",
        (_ONCE, "        if not hmac.compare_digest(taken.request_hash, key.request_hash):", "        if False:"),
    ),
    guard(
        "once: taken by one",
        "api/once::test_a_hundred_at_once_create_one",
        (_KEPT, "     WHERE k.expires_at <= now()\n    RETURNING", "    RETURNING"),
    ),
    guard(
        "once: of one caller",
        "api/once::test_keys_are_of_one_caller_and_one_route",
        (
            _ONCE,
            "            actor=principal.key_id or principal.user_id,\n",
            "            actor=__import__('uuid').UUID(int=7),\n",
        ),
    ),
    guard(
        "once: of one route",
        "api/once::test_keys_are_of_one_caller_and_one_route",
        (_ONCE, "            route=self._route.name,\n", '            route="any",\n'),
    ),
    guard(
        "once: who took too long keeps no answer",
        "api/once::test_who_took_too_long_does_not_overwrite_the_next_one",
        (_KEPT, "            IdempotencyKey.claim == claim,\n", ""),
    ),
    guard(
        "once: a refused request leaves its key free",
        "api/once::test_a_refused_request_leaves_its_key_free",
        (_ONCE, "            await self._give_back(key, claim)\n            raise", "            raise"),
    ),
    guard(
        "once: the answer is kept with the work",
        "api/once::test_the_answer_and_the_work_are_kept_together_or_not_at_all",
        (_ONCE, "            elif session is None:\n", "            elif True:\n"),
    ),
    guard(
        "once: an answer is kept for this request",
        "api/once::test_an_answer_of_another_row_is_not_given",
        (_ONCE, 'return b"|".join((key.actor.bytes, key.route.encode(), key.request_hash))', 'return b""'),
        (_ONCE, 'self._secret, b"answer to " + self._given, "sha256"', 'self._secret, b"answer to ", "sha256"'),
    ),
    guard(
        "once: answers are sealed",
        "api/once::test_nothing_of_the_answer_can_be_read_in_the_database",
        (_ONCE, "return nonce + self._cipher().encrypt(nonce, body, self._about(key))", "return nonce + body"),
    ),
    guard(
        "once: a key runs out",
        "api/once::test_after_a_day_a_key_is_new",
        (_KEPT, "     WHERE k.expires_at <= now()\n    RETURNING", "     WHERE false\n    RETURNING"),
    ),
    guard(
        "once: a key of a request that has not ended",
        "api/once::test_who_died_holds_the_key_for_a_minute_and_the_next_one_does_the_work",
        (
            _ONCE,
            "        if taken.status is None or taken.answer is None:\n            raise KeyInUse",
            "        if taken.status is None or taken.answer is None:\n            raise KeyReused",
        ),
    ),
    # Tickets
    guard(
        "live: what a model says, to who was let in",
        "api/live::test_nothing_that_a_model_says_is_heard_by_who_is_not_let_in_yet",
        (
            "api/live.py",
            "        for subscription in [one for one in self.subscriptions if one.live]:\n            subscription.subscriber",
            "        for subscription in self.subscriptions:\n            subscription.subscriber",
        ),
    ),
    guard(
        "ticket: once",
        "api/live::test_a_ticket_opens_one_socket",
        (_TICKETS, "await redis.getdel(_key(ticket))", "await redis.get(_key(ticket))"),
    ),
    guard(
        "ticket: of this origin",
        "api/live::test_a_ticket_is_of_the_origin_that_asked_for_it",
        (_TICKETS, ' or fields["origin"] != origin:', ":"),
    ),
    guard(
        "ticket: kept as a digest",
        "api/live::test_no_ticket_can_be_read_in_redis",
        (_TICKETS, "{hashlib.sha256(ticket.encode()).hexdigest()}", "{ticket}"),
    ),
    # Bodies and connections
    guard(
        "body: JSON alone",
        "api/gateway::test_every_route_with_a_body_takes_json_and_nothing_else",
        ("api/bodies.py", '    if media_type.strip().lower() != "application/json":', "    if False:"),
    ),
    guard(
        "body: nothing packed",
        "api/gateway::test_a_packed_body_is_not_unpacked",
        (
            "api/bodies.py",
            '    if headers.get("content-encoding", "identity").strip().lower() != "identity":',
            "    if False:",
        ),
    ),
    guard(
        "body: not too deep",
        "api/gateway::test_json_of_a_hundred_thousand_levels_is_refused_in_words",
        ("api/bodies.py", "    if is_deeper(body, MAX_DEPTH):", "    if False:"),
    ),
    guard(
        "body: a declared length",
        "api/connections::test_a_body_of_a_gigabyte_is_refused_before_it_comes",
        ("api/bodies.py", " or int(declared) > limit:", ":"),
    ),
    guard(
        "address: it has an end",
        "api/gateway::test_an_address_has_an_end",
        (
            "api/middleware.py",
            '    if len(scope.get("raw_path") or scope["path"]) + len(scope["query_string"]) > MAX_ADDRESS_BYTES:',
            "    if False:",
        ),
    ),
    guard(
        "connections: so many of one address",
        "api/connections::test_one_address_may_have_so_many_connections",
        (
            _CONNECTIONS,
            "        if self._open[address] >= self._limit and not self._is_proxy(address):",
            "        if False:",
        ),
    ),
    guard(
        "connections: a clock for the head",
        "api/connections::test_who_says_nothing_is_hung_up_on",
        (
            _CONNECTIONS,
            "        self._counted = address\n        self._wind(HEAD_SECONDS)\n",
            "        self._counted = address\n",
        ),
    ),
    guard(
        "connections: a head has an end",
        "api/connections::test_a_head_has_an_end",
        (
            _CONNECTIONS,
            "        if self._in_head and self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():",
            "        if False:",
        ),
    ),
    # What is reached outside
    guard(
        "egress: the open internet alone",
        "unit/egress::test_private_addresses_are_refused_and_the_sentence_says_how_to_allow_them",
        (_EGRESS, "        if hidden is not None:", "        if False:"),
    ),
    guard(
        "egress: what an IPv6 address wraps",
        "unit/egress::test_addresses_are_judged_by_what_they_lead_to",
        (_EGRESS, "    if inner is not None:\n", "    if False:\n"),
    ),
    guard(
        "egress: every answer is looked at",
        "unit/egress::test_one_private_answer_among_public_ones_refuses_the_name",
        (_EGRESS, "next((text for text in found if not", "next((text for text in found[:1] if not"),
    ),
    guard(
        "egress: allowed on that port only",
        "unit/egress::test_what_the_operator_listed_is_reached_on_that_port_only",
        (_EGRESS, "        if (name, port) in self.allowed:", "        if name in {host for host, _ in self.allowed}:"),
    ),
    guard(
        "egress: the checked address is the one connected to",
        "unit/egress::test_a_name_is_looked_up_once_and_the_checked_address_is_the_one_connected_to",
        (_EGRESS, "self._inner.connect_tcp(address, port", "self._inner.connect_tcp(host, port"),
    ),
)
