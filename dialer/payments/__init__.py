"""Paying by card: gateways behind one protocol, and the service that charges exactly once.

What is said and asked (pure)
    conversation, conversation_values, conversation_asking: a payment by keypad, step by step;
    entry: when a field is complete and right; prompting: which prompts are said.
While digits are there
    secret: digits that do not show; masking, hardening: a process that prints none and shows no
    memory; submission, clean_room: the two sides of the process that sends one card and ends.
Gateways
    gateway: the protocol; gateways/: one module each, and which one is chosen.
Money, in the caller's transaction
    service: begin, mark, settle, look up, reconcile; booking: news becomes state, entries and
    texts, on which service, webhooks and reversals rest; orders: what a gateway is asked for;
    webhooks: what gateways tell by themselves; reversals: refunds, voids, captures; texting: the
    receipt and the link.
By itself
    resolving: what is in doubt is looked up until it is known (run by the worker).

The rules are in ``dialer.domain`` (payment_states, ledger, velocity, card), the rows in
``dialer.store`` (payments, refunds, ledger, pay_sessions, paid, unresolved). Imported by engine,
jobs, local, simulation, agi_scripts, web and commands; imports domain, flow, store and messaging.
"""
