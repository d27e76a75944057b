"""Random histories and rate cards for the bill, from a seed: valid ones, and valid ones with one thing broken.

They seek the edges: midnights and month ends with a millisecond around them, instants shared by several events, leap
days, six months after the 31st, terms that end inside a day, renewals at, before and long after the end, excess around
the tiers' bounds.
"""

import heapq
import json

from second import DAY, GB, TYPES, at_midnight, date_of, plus_months

KINDS = ("ASSET_MANAGER", "ASSET_MANAGER", "VIDEO_MINUTES", "VIDEO_MINUTES", "MODELING_2D", "VOICE_CLONE")
NAMES = ("am-10g", "am-100g", "minutes", "model", "unnamed", "Jahres-Paket ä", "a\"b\\c")
STARTS = (1999, 2000, 2003, 2007, 2011, 2015, 2023, 2024, 2026, 2027, 2099, 2399)  # two years on: with and without 29 Feb


def say_instant(at):
    rest = at % DAY
    return (f"{date_of(at).isoformat()}T{rest // 3600000:02d}:{rest // 60000 % 60:02d}:{rest // 1000 % 60:02d}."
            f"{rest % 1000:03d}Z")


class Maker:
    """One history, event by event. now never goes back."""

    def __init__(self, rng, events, days):
        self.rng = rng
        year = rng.choice(STARTS)
        self.start = at_midnight(year, 1, 1) + rng.randrange(365) * DAY + rng.choice((0, 0, rng.randrange(DAY)))
        if rng.randrange(4) == 0:
            self.start = at_midnight(year, rng.choice((1, 3, 5, 8, 10, 12)), 31)
        self.stop = self.start + days * DAY
        self.now = self.start
        self.gap = max(2, 2 * days * DAY // events)
        self.edges = []  # instants at which something may happen by itself
        self.lines = []
        self.tenants, self.assets, self.away, self.packages = [], {}, {}, {}
        self.names = 0
        self.huge = 3
        for at in range(self.start // DAY * DAY + DAY, self.stop, 29 * DAY):
            heapq.heappush(self.edges, at_midnight(date_of(at).year, date_of(at).month, 1))

    def chance(self, percent):
        return self.rng.randrange(100) < percent

    def new_name(self, kind):
        self.names += 1
        return f"{kind}{self.names}" if self.chance(90) else f"{kind} ü\t{self.names}"

    def say(self, do, **members):
        line = {"at": say_instant(self.now), "do": do, **members}
        if self.chance(3):
            line["note"] = self.rng.choice((None, [1, {"x": "}"}], 1.5, 10**30, "\u00e4"))
        if self.chance(5):
            line = dict(self.rng.sample(list(line.items()), len(line)))
        if self.chance(2):
            self.lines.append(" \t")
        self.lines.append(json.dumps(line, ensure_ascii=self.chance(50)))

    def edge(self, at):
        if at is not None and self.now < at < self.stop:
            heapq.heappush(self.edges, at)

    def go_on(self):
        """Move time: not at all, to an edge or one millisecond beside it, to a midnight, or anywhere."""
        while self.edges and self.edges[0] <= self.now:
            heapq.heappop(self.edges)
        at = self.now + self.rng.randrange(self.gap)
        how = self.rng.randrange(100)
        if how < 12:
            at = self.now
        elif how < 40 and self.edges and self.edges[0] < self.now + 3 * self.gap:
            at = self.edges[0] + self.rng.choice((-1, 0, 0, 1))
        elif how < 50:
            at = at // DAY * DAY + self.rng.choice((-1, 0, 1))
        self.now = min(max(at, self.now), self.stop)

    def size(self):
        if self.huge and self.chance(1):
            self.huge -= 1
            return self.rng.randrange(2**60)
        return self.rng.choice((0, 1, self.rng.randrange(100), self.rng.randrange(GB), self.rng.randrange(8 * GB),
                                self.rng.randrange(200 * GB), GB))

    # -- events --

    def tenant(self):
        members = {}
        if self.chance(70):
            members["free_bytes"] = self.rng.choice((0, 5 * GB, self.rng.randrange(20 * GB), 10 * GB))
        if self.chance(50):
            members["pay_per_use"] = self.chance(50)
        if self.tenants and self.chance(70):
            return self.say("tenant", tenant=self.rng.choice(self.tenants), **members)
        if len(self.tenants) < 4:
            self.tenants.append(self.new_name("t"))
            self.say("tenant", tenant=self.tenants[-1], **members)
        return None

    def put(self):
        origin = self.rng.choice(("UPLOADED", "UPLOADED", "CUSTOMIZED", "CUSTOMIZED", "SYSTEM"))
        type_ = self.rng.choice(sorted(TYPES) + ["VIDEO"] * 10 + ["HUMAN_MODEL_2D", "VOICE_MODEL"] * 2)
        created, members = self.now, {}
        if self.chance(30):
            back = self.rng.choice((0, 1, self.rng.randrange(400 * DAY), self.rng.randrange(200 * DAY)))
            created = max(0, self.now - back)
            members["created"] = say_instant(created)
        name, tenant = self.new_name("a"), self.rng.choice(self.tenants)
        self.say("put", tenant=tenant, asset=name, type=type_, origin=origin, bytes=self.size(), **members)
        self.assets[name] = [tenant, type_, origin, created]
        if origin == "CUSTOMIZED":
            self.edge(plus_months(created, 6))

    def some_asset(self):
        return self.rng.choice(list(self.assets)) if self.assets else None

    def overwrite(self):
        name = self.some_asset()
        if name:
            asset = self.assets[name]
            if asset[2] != "CUSTOMIZED" and self.chance(30):
                asset[1] = self.rng.choice(sorted(TYPES))
            self.say("put", tenant=asset[0], asset=name, type=asset[1], origin=asset[2], bytes=self.size())

    def produce(self, tenant=None, seconds=None):
        name, tenant = self.new_name("v"), tenant or self.rng.choice(self.tenants)
        usual = self.rng.choice((0, 1, 2, 3, 754, self.rng.randrange(60), self.rng.randrange(2000),
                                 self.rng.randrange(10**5)))
        seconds = usual if seconds is None else seconds
        if self.chance(1):
            seconds = self.rng.choice((2**63 - 1, 10**15))
        self.say("produce", tenant=tenant, asset=name, seconds=seconds, bytes=self.size())
        self.assets[name] = [tenant, "VIDEO", "CUSTOMIZED", self.now]
        self.edge(plus_months(self.now, 6))

    def nothing(self):
        name = self.some_asset()
        if name:
            self.say(self.rng.choice(("trash", "restore", "freeze", "unfreeze")), tenant=self.assets[name][0], asset=name)

    def delete(self):
        name = self.some_asset()
        if name:
            self.say("delete", tenant=self.assets.pop(name)[0], asset=name)

    def transfer(self):
        name = self.some_asset()
        if not name:
            return
        tenant = self.assets[name][0]
        others = [other for other in self.tenants if other != tenant]
        if others and self.chance(60):
            self.assets[name][0] = self.rng.choice(others)
            self.say("transfer", tenant=tenant, asset=name, to=self.assets[name][0])
        else:
            self.say("transfer", tenant=tenant, asset=name, to=None)
            self.away[name] = self.assets.pop(name)

    def back(self):
        if self.away:
            name = self.rng.choice(list(self.away))
            asset = self.assets[name] = self.away.pop(name)
            asset[0] = self.rng.choice(self.tenants)
            self.say("put", tenant=asset[0], asset=name, type=asset[1], origin=asset[2], bytes=self.size(),
                     created=say_instant(asset[3]))

    def package(self):
        name, tenant, kind = self.new_name("p"), self.rng.choice(self.tenants), self.rng.choice(KINDS)
        months = self.rng.choice((0, 1, 1, 1, 1, 2, 3, 6, 12))
        terms = 1 if months == 0 else self.rng.choice((1, 1, 2, 3, self.rng.randrange(1, 30)))
        amount = self.rng.choice((0, 1000, 5000, self.rng.randrange(20000)))
        if kind == "ASSET_MANAGER":
            amount = self.rng.choice((GB, 10 * GB, 100 * GB, self.rng.randrange(50 * GB)))
        members = {} if self.chance(60) else {"paid": self.chance(50)}
        self.say("package", tenant=tenant, package=name, name=self.rng.choice(NAMES), kind=kind, amount=amount,
                 months=months, terms=terms, **members)
        if months:
            self.packages[name] = [tenant, self.now, months, terms]
            self.edge(plus_months(self.now, months * terms))
            self.edge(plus_months(self.now, months))

    def twins(self):
        """Packages of minutes that end together, with terms that do not, or without end: the order of ids decides."""
        tenant, length = self.rng.choice(self.tenants), self.rng.choice((0, 2, 6, 12))
        for _ in range(self.rng.randrange(2, 4)):
            name = self.new_name("p")
            months = self.rng.choice([m for m in range(1, length + 1) if length % m == 0] or [0])
            terms = length // months if months else 1
            self.say("package", tenant=tenant, package=name, name=self.rng.choice(NAMES), kind="VIDEO_MINUTES",
                     amount=self.rng.randrange(2000), months=months, terms=terms)
            if months:
                self.packages[name] = [tenant, self.now, months, terms]
                self.edge(plus_months(self.now, months))
        for _ in range(self.rng.randrange(3)):
            self.produce(tenant, self.rng.randrange(1500))

    def renew(self):
        if self.packages:
            name = self.rng.choice(list(self.packages))
            package = self.packages[name]
            terms = self.rng.choice((1, 1, 2, 3))
            self.say("renew", tenant=package[0], package=name, terms=terms)
            while plus_months(package[1], package[2] * (package[3] + 1)) <= self.now:
                package[3] += 1
            package[3] += terms
            self.edge(plus_months(package[1], package[2] * package[3]))
            self.edge(plus_months(package[1], package[2] * (package[3] + 1)))

    def make(self, events):
        self.tenant()
        while not self.tenants:
            self.tenant()
        acts = ([self.put] * 6 + [self.overwrite] * 4 + [self.produce] * 4 + [self.nothing] * 2 + [self.delete] * 3 +
                [self.transfer] * 2 + [self.back] * 2 + [self.package] * 3 + [self.twins] + [self.renew] * 4 + [self.tenant] * 2)
        for _ in range(events):
            self.go_on()
            self.rng.choice(acts)()
        self.now = max(self.now, self.stop + self.rng.choice((0, 1, 2 * DAY - 1)))
        self.say("end")
        return self.lines


def history(rng, events, days):
    """Lines of a valid history of so many events over so many days."""
    return Maker(rng, events, days).make(events)


def price(rng, most=10):
    digits = rng.randrange(1, 10)
    return rng.choice((str(rng.randrange(most)), f"{rng.randrange(most)}.{rng.randrange(10**digits):0{digits}d}",
                       f"0.{rng.randrange(10**6):09d}", "0", "00.50"))


def rates(rng, lines):
    """A rate card file whose months lie around those of the history."""
    first = json.loads(lines[0] if lines[0].strip() else lines[1])["at"]
    year = int(first[:4])
    months = rng.sample([(y, m) for y in range(year - 1, year + 3) for m in range(1, 13)], rng.randrange(6))
    cards = []
    for y, m in months:
        card = {"valid_from": f"{y}-{m:02d}"}
        if rng.randrange(5):
            bounds = sorted(rng.sample(range(1, 2000), rng.randrange(4)))
            card["storage"] = [{"up_to_gb_months": rng.choice((f"{b}", f"{b // 10}.{b % 10}{b:05d}")), "price": price(rng, 3)}
                               for b in bounds]
            seen = set()
            card["storage"] = sorted((t for t in card["storage"] if not (key(t) in seen or seen.add(key(t)))), key=key)
            card["storage"].append({"price": price(rng, 3)})
        if rng.randrange(5):
            card["video_minute"] = price(rng)
        if rng.randrange(5):
            card["packages"] = {name: price(rng, 2000) for name in rng.sample(NAMES, rng.randrange(len(NAMES)))}
        cards.append(card)
    return json.dumps({"currency": rng.choice(("CNY", "CNY", "USD", "EUR", "JPY")), "cards": cards})


def key(tier):
    whole, _, behind = tier["up_to_gb_months"].partition(".")
    return int(whole), behind.ljust(9, "0")


VALUES = (-1, 0, 1, 2**63 - 1, 2**63, 10**25, 1.5, "1", "", None, True, [], {}, "VIDEO", "UPLOADED", "CUSTOMIZED", "t1",
          "a1", "1970-01-01T00:00:00.000Z", "2026-02-30T00:00:00.000Z", "2026-01-31T00:00:00Z", "9999-12-31T23:59:59.999Z")
LINES = ("{", "[]", "1", "{}", "null", '{"a":1,"a":2}', "\ufeff{}", '{"at":1e999}', '{"x":"\\ud800"}', '{"at":NaN}', "{} {}")


def broken(rng, lines):
    """The same with one thing changed, most of the time so that it is wrong."""
    lines = list(lines)
    index = rng.randrange(len(lines))
    if not lines[index].strip():
        return lines
    line = json.loads(lines[index])
    how = rng.randrange(8)
    if how == 0:
        del lines[index]
    elif how == 1:
        lines.insert(index, rng.choice(lines))
    elif how == 2:
        lines[index] = rng.choice(LINES)
    elif how == 3:
        other = rng.randrange(len(lines))
        lines[index], lines[other] = lines[other], lines[index]
    elif how == 4:
        del line[rng.choice(list(line))]
        lines[index] = json.dumps(line)
    elif how == 5:
        others = [json.loads(other) for other in lines if other.strip()]
        member = rng.choice(list(line))
        line[member] = rng.choice([other[member] for other in others if member in other])
        lines[index] = json.dumps(line)
    else:
        line[rng.choice(list(line) + ["to", "created", "paid", "terms", "pay_per_use"])] = rng.choice(VALUES)
        lines[index] = json.dumps(line)
    return lines


def broken_rates(rng, written):
    """A rate card file with one value or member changed, most of the time so that it is wrong."""
    root = json.loads(written)
    spots = []

    def walk(value):
        if isinstance(value, (dict, list)):
            for name in value if isinstance(value, dict) else range(len(value)):
                spots.append((value, name))
                walk(value[name])

    walk(root)
    where, name = rng.choice(spots)
    how = rng.randrange(4)
    if how == 0:
        del where[name]
    elif how == 1 and isinstance(where, list):
        where.insert(name, rng.choice(where))
    else:
        where[name] = rng.choice(("", "1.", ".5", "1e3", "-1", "1234567890", "0.0000000001", "2026-13", "2026-1", "1969-12",
                                  "GBP", "1", "0.1", 1, 1.5, None, True, [], {}, [{}], where[name], rng.choice(spots)[1]))
    return json.dumps(root)
