"""A model of the page table: who has each page, what is refused, what goes back on the ring."""

from __future__ import annotations

from pagering.abi import Fault

__all__ = ["PAGES", "POOLS", "QUEUES", "Model", "Page"]

QUEUES, POOLS, PAGES = 3, 2, 8


class Page:
    """One entry of the model."""

    def __init__(self):
        self.open, self.chunks, self.next, self.queue, self.generation = False, 0, 0, 0, 0

    @property
    def held(self):
        return self.open or self.chunks != 0

    @property
    def out(self):
        return not self.open and self.chunks != 0


class Model:
    """All entries and the counts over them."""

    def __init__(self, chunks, rng):
        self.chunks, self.rng = chunks, rng
        self.pages = [Page() for _ in range(PAGES)]
        self.left, self.out, self.recycled = [0] * QUEUES, [0] * POOLS, []

    def change(self, number, act, *, recycles=True, counts=True):
        """Let ``act`` change a page; keep the counts."""
        page = self.pages[number]
        held, out, queue = page.held, page.out, page.queue
        act(page)
        if counts:
            self.left[queue] += held and not page.held
            self.out[number % POOLS] += page.out - out
        if recycles and held and not page.held:
            self.recycled.append(number)

    def open(self):
        """Open a page, if one is free: stream, payload, expected answer."""
        free = [n for n, page in enumerate(self.pages) if not page.held]
        if not free:
            return None
        number, queue = self.rng.choice(free), self.rng.randrange(QUEUES)

        def act(page):
            page.open, page.next, page.queue = True, 0, queue
            page.generation = (page.generation + 1) % 16
        self.change(number, act)
        return "opens", {"page": number, "queue": queue}, self.pages[number].generation

    def deliver(self):
        filling = [n for n, page in enumerate(self.pages) if page.open]
        if not filling:
            return None
        number = self.rng.choice(filling)
        first = self.pages[number].next
        none = first == self.chunks or self.rng.random() < 0.2
        last = 0 if none else self.rng.randrange(first, self.chunks)
        closes = none or last == self.chunks - 1 or self.rng.random() < 0.3
        mask = 0 if none else (2 << last) - (1 << first)

        def act(page):
            page.open, page.chunks = not closes, page.chunks | mask
            page.next = page.next if none else last + 1
        self.change(number, act)
        return "deliveries", {"page": number, "first": 0 if none else first, "last": last,
                              "none": none, "closes": closes}, None

    def give_back(self):
        rng = self.rng
        number = rng.randrange(PAGES)
        page = self.pages[number]
        runs = [n for n in range(self.chunks) if page.chunks >> n & 1]
        if runs and rng.random() < 0.8:
            first = last = rng.choice(runs)
            while page.chunks >> (last + 1) & 1 and rng.random() < 0.8:
                last += 1
        else:
            first = rng.randrange(self.chunks)
            last = rng.randrange(first, self.chunks)
        queue = page.queue if rng.random() < 0.85 else rng.randrange(QUEUES)
        generation = page.generation if rng.random() < 0.85 else rng.randrange(16)
        mask = (2 << last) - (1 << first)
        fault = (Fault.RETURN_OWNER if queue != page.queue else
                 Fault.RETURN_GENERATION if generation != page.generation else
                 Fault.RETURN_IDLE if mask & ~page.chunks else None)
        if fault is None:
            def act(page):
                page.chunks &= ~mask
            self.change(number, act)
        token = {"page": number, "first": first, "last": last, "generation": generation}
        return "returns", {"queue": queue, "token": token}, fault

    def load(self):
        retire = self.rng.random() < 0.5
        candidates = [n for n, page in enumerate(self.pages) if not page.open]
        if not candidates:
            return None
        number = self.rng.choice(candidates)

        def act(page):
            page.open, page.chunks = False, 0
            page.generation = (page.generation + 1) % 16
        # A registration forgets; only a retirement takes a page from a queue that is counted.
        if not retire and self.pages[number].held:
            return None
        self.change(number, act, recycles=False, counts=retire)
        return "loads", {"page": number, "retire": retire}, None

    def step(self):
        """Choose an operation that can happen now."""
        while True:
            act = self.rng.choices((self.open, self.deliver, self.give_back, self.load),
                                   (6, 8, 10, 1))[0]
            chosen = act()
            if chosen is not None:
                return chosen
