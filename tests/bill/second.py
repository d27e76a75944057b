#!/usr/bin/env python3
"""A second computation of the bill: second.py --history FILE --rates FILE prints what msasset bill simulate --json
must print, byte for byte.

Written from the specification of the bill and from nothing else, on purpose in another way than the gateway: whole
histories in memory, periods instead of counters, bought terms as lists, integers without limit. The section numbers
are those of the specification. On an error: "line N: ..." (history) or "rates: ..." on standard error, status 2, no
output. There is no floating point here.
"""

import calendar
import datetime
import json
import re
import sys

DAY = 24 * 60 * 60 * 1000
LARGEST = 2**63 - 1
GB = 2**30
FOREVER = 10**18
FREE_BYTES = 5368709120
CLASSES = ("standard", "produced_free", "produced", "excluded")
TYPES = {"HUMAN_MODEL", "VOICE_MODEL", "SCENE", "ANIMATION", "VIDEO", "IMAGE", "PPT", "MATERIAL", "NORMAL_MODEL",
         "COMMON_FILE", "HUMAN_MODEL_2D", "BUSINESS_CARD_TEMPLET", "MUSIC", "AUDIO"}
ORIGINS = {"UPLOADED", "CUSTOMIZED", "SYSTEM"}
KINDS = {"ASSET_MANAGER", "VIDEO_MINUTES", "MODELING_2D", "VOICE_CLONE"}
DIGITS = {"CNY": 2, "USD": 2, "EUR": 2, "JPY": 0}


class Bad(Exception):
    """What is wrong with a line or with the rates."""


def need(fact, text):
    if not fact:
        raise Bad(text)


def half_up(numerator, denominator):
    return (2 * numerator + denominator) // (2 * denominator)


# ---- section 1: time ---------------------------------------------------------------------------------------------

EPOCH = datetime.date(1970, 1, 1).toordinal()
INSTANT = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})\.([0-9]{3})Z")


def at_midnight(year, month, day):
    return (datetime.date(year, month, day).toordinal() - EPOCH) * DAY


def date_of(instant):
    return datetime.date.fromordinal(EPOCH + instant // DAY)


def parse_instant(text):
    match = INSTANT.fullmatch(text) if isinstance(text, str) else None
    need(match and text.isascii(), f"not an instant: {text!r}")
    year, month, day, hour, minute, second, ms = (int(part) for part in match.groups())
    need(year >= 1970 and 1 <= month <= 12, f"no such instant: {text}")
    need(1 <= day <= calendar.monthrange(year, month)[1], f"no such day: {text}")
    need(hour < 24 and minute < 60 and second < 60, f"no such time of day: {text}")
    return at_midnight(year, month, day) + ((hour * 60 + minute) * 60 + second) * 1000 + ms


def plus_months(instant, months):
    """The instant, or None when it lies after the year 9999."""
    date = date_of(instant)
    years, month = divmod(date.year * 12 + date.month - 1 + months, 12)
    if years > 9999:
        return None
    day = min(date.day, calendar.monthrange(years, month + 1)[1])
    return at_midnight(years, month + 1, day) + instant % DAY


# ---- section 4: the rate card ------------------------------------------------------------------------------------

PRICE = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,9}))?")


def decimal(value, place):
    """In units of 10^-9."""
    match = PRICE.fullmatch(value) if isinstance(value, str) and value.isascii() else None
    need(match, f"{place}: not 1 to 9 digits, a point and 1 to 9 digits: {value!r}")
    whole, behind = match.groups()
    return int(whole) * 10**9 + int((behind or "").ljust(9, "0"))


class Card:
    def __init__(self, card, place):
        need(isinstance(card, dict), f"{place}: no object")
        month = card.get("valid_from")
        match = re.fullmatch(r"([0-9]{4})-([0-9]{2})", month) if isinstance(month, str) else None
        need(match and month.isascii() and int(match[1]) >= 1970 and 1 <= int(match[2]) <= 12,
             f"{place}.valid_from: {month!r}")
        self.month = int(match[1]), int(match[2])
        self.tiers = self.read_tiers(card["storage"], f"{place}.storage") if "storage" in card else []
        self.minute = decimal(card["video_minute"], f"{place}.video_minute") if "video_minute" in card else 0
        self.packages = {}
        if "packages" in card:
            need(isinstance(card["packages"], dict), f"{place}.packages: no object")
            self.packages = {n: decimal(p, f"{place}.packages.{n}") for n, p in card["packages"].items()}

    @staticmethod
    def read_tiers(tiers, place):
        need(isinstance(tiers, list) and tiers, f"{place}: no list of tiers")
        found, before = [], -1
        for number, tier in enumerate(tiers):
            here = f"{place}[{number}]"
            need(isinstance(tier, dict), f"{here}: no object")
            price = decimal(tier.get("price"), f"{here}.price")
            last = number == len(tiers) - 1
            need(last == ("up_to_gb_months" not in tier), f"{here}: only the last tier, and that, is open")
            bound = None if last else decimal(tier["up_to_gb_months"], f"{here}.up_to_gb_months")
            need(last or bound > before, f"{here}: tiers do not ascend")
            found.append((bound, price))
            before = bound
        return found

    def storage(self, excess, month_ms):
        """Micros for so many byte-milliseconds of excess in a month of so many milliseconds."""
        if not excess:
            return 0
        unit = GB * month_ms  # of byte-ms in one GB-month
        amount = excess * 10**9  # in 10^-9 byte-ms, as the bounds
        cost = below = 0
        for bound, price in self.tiers:
            top = amount if bound is None else min(amount, bound * unit)
            cost += (top - below) * price
            below = top
        return half_up(cost * 10**6, unit * 10**9 * 10**9)

    def video(self, hundredths):
        return half_up(hundredths * self.minute * 10**6, 100 * 10**9)

    def package(self, name):
        return half_up(self.packages.get(name, 0) * 10**6, 10**9)


FREE_OF_CHARGE = Card({"valid_from": "1970-01"}, "")


def unique(pairs):
    found = dict(pairs)
    need(len(found) == len(pairs), "a member twice")
    return found


def no_number(text):
    raise Bad(f"not JSON: {text}")


class Fraction:
    """A number that is written with a point or an exponent: nothing here takes one."""

    def __init__(self, _):
        pass


def parse_json(text):
    try:
        return json.loads(text.decode("utf-8"), object_pairs_hook=unique, parse_float=Fraction, parse_constant=no_number)
    except (ValueError, RecursionError) as error:
        raise Bad(f"not JSON: {error}") from error


class Rates:
    def __init__(self, text):
        root = parse_json(text)
        need(isinstance(root, dict), "no object")
        self.currency = root.get("currency")
        need(isinstance(self.currency, str) and self.currency in DIGITS, f"currency: {self.currency!r}")
        cards = root.get("cards")
        need(isinstance(cards, list), "cards: no list")
        self.cards = [Card(card, f"cards[{number}]") for number, card in enumerate(cards)]
        need(len({card.month for card in self.cards}) == len(self.cards), "two cards of the same month")
        self.cards.sort(key=lambda card: card.month, reverse=True)

    def of(self, date):
        return next((card for card in self.cards if card.month <= (date.year, date.month)), FREE_OF_CHARGE)

    def amount(self, micros):
        digits = DIGITS[self.currency]
        minor = half_up(micros, 10 ** (6 - digits))
        if digits == 0:
            return str(minor)
        return f"{minor // 10**digits}.{minor % 10**digits:0{digits}d}"


# ---- section 2 and packages: who holds what, from when to when ---------------------------------------------------


class Asset:
    def __init__(self, origin, type_, created):
        self.origin, self.type, self.created = origin, type_, created
        self.owner = None  # None: it left
        self.deleted = False
        self.bytes = self.since = 0

    def periods(self, start, end):
        """Split a period of its life by class."""
        if self.origin == "SYSTEM" or (self.origin == "CUSTOMIZED" and
                                       self.type in ("HUMAN_MODEL_2D", "HUMAN_MODEL", "VOICE_MODEL")):
            return [("excluded", start, end)]
        if self.origin == "CUSTOMIZED" and self.type == "VIDEO":
            free_until = plus_months(self.created, 6) or FOREVER
            return [("produced_free", start, min(end, free_until)), ("produced", max(start, free_until), end)]
        return [("standard", start, end)]


class Package:
    def __init__(self, line, at):
        self.id, self.name, self.kind = line["package"], line["name"], line["kind"]
        self.amount, self.months = line["amount"], line["months"]
        self.paid = line.get("paid", True)
        self.first = at
        self.ordinal = 0  # of the next term
        self.terms = []  # [start, end, hundredths left]

    def bound(self, ordinal):
        end = plus_months(self.first, ordinal * self.months)
        need(end is not None, "a term ends after year 9999")
        return end

    def buy(self, terms, at):
        """Add terms; returns the new ones."""
        new = []
        if self.months == 0:
            new.append([at, FOREVER, self.amount])
        else:
            while self.bound(self.ordinal + 1) <= at:  # wholly passed
                self.ordinal += 1
            for _ in range(terms):
                start = max(at, self.bound(self.ordinal)) if not new else self.bound(self.ordinal)
                new.append([start, self.bound(self.ordinal + 1), self.amount])
                self.ordinal += 1
        self.terms += new
        return new

    def end(self):
        return self.terms[-1][1]

    def term_at(self, at):
        return next((term for term in self.terms if term[0] <= at < term[1]), None)


class Tenant:
    def __init__(self, name, at):
        self.name, self.first = name, at
        self.free = 0
        self.bytes = 0
        self.packages = []
        self.changes = []  # (instant, counter, by how much)
        self.videos = []  # (instant, hundredths, of these pay-per-use)
        self.fees = []  # (instant, package name)

    def period(self, counter, start, end, amount):
        if start < end and amount:
            self.changes.append((start, counter, amount))
            self.changes.append((end, counter, -amount))

    def check(self, at):
        allowance = self.free + sum(p.amount for p in self.packages if p.kind == "ASSET_MANAGER" and p.term_at(at))
        need(self.bytes <= LARGEST, f"bytes of {self.name}: {self.bytes}")
        need(allowance <= LARGEST, f"allowance of {self.name}: {allowance}")

    def draw(self, hundredths, at):
        """What the packages do not hold."""
        valid = [(p.end(), p.id.encode(), p.term_at(at)) for p in self.packages
                 if p.kind == "VIDEO_MINUTES" and p.term_at(at)]
        for _, _, term in sorted(valid, key=lambda v: v[:2]):
            taken = min(term[2], hundredths)
            term[2] -= taken
            hundredths -= taken
        return hundredths


# ---- section 5: the history --------------------------------------------------------------------------------------


def text(line, member):
    need(isinstance(line.get(member), str), f"{member}: no text")
    return line[member]


def number(line, member, low=0, high=LARGEST):
    value = line.get(member)
    need(type(value) is int, f"{member}: no whole number: {value!r}")
    need(low <= value <= high, f"{member}: {value} is not in {low} .. {high}")
    return value


def flag(line, member):
    need(type(line[member]) is bool, f"{member}: not true or false")
    return line[member]


def choice(line, member, of):
    need(text(line, member) in of, f"{member}: {line[member]!r} is none of {sorted(of)}")
    return line[member]


class History:
    def __init__(self):
        self.tenants, self.assets, self.packages = {}, {}, {}
        self.now = 0
        self.end = None
        self.lines = 0

    def read(self, file):
        for raw in file:
            self.lines += 1
            if raw.strip(b" \t\r\n"):
                self.line(parse_json(raw))
        need(self.end is not None, "end is missing")

    def line(self, line):
        need(isinstance(line, dict), "no JSON object")
        need(self.end is None, "something follows end")
        at = parse_instant(line.get("at"))
        need(at >= self.now, "before its predecessor")
        do = text(line, "do")
        action = {"put": self.put, "produce": self.produce, "delete": self.delete, "transfer": self.transfer,
                  "package": self.package, "renew": self.renew, "trash": self.known, "restore": self.known,
                  "freeze": self.known, "unfreeze": self.known}.get(do)
        self.now = at
        if do == "tenant":
            self.tenant(line, at)
        elif do == "end":
            self.end = at
            for asset in self.assets.values():
                self.settle(asset, FOREVER)
        else:
            need(action, f"unknown do: {do}")
            tenant = self.tenants.get(text(line, "tenant"))
            need(tenant, f"no such tenant: {line['tenant']}")
            action(line, at, tenant)

    def tenant(self, line, at):
        name = text(line, "tenant")
        free = number(line, "free_bytes") if "free_bytes" in line else None
        if "pay_per_use" in line:
            flag(line, "pay_per_use")
        if name not in self.tenants:
            self.tenants[name] = Tenant(name, at)
            free = FREE_BYTES if free is None else free
        tenant = self.tenants[name]
        if free is not None:
            tenant.changes.append((at, "allowance", free - tenant.free))
            tenant.free = free
        tenant.check(at)

    def settle(self, asset, at):
        """Write down the period of its bytes that ends now."""
        if asset.owner:
            for name, start, end in asset.periods(asset.since, at):
                asset.owner.period(name, start, end, asset.bytes)
        asset.since = at

    def move(self, asset, at, owner, size):
        self.settle(asset, at)
        if asset.owner:
            asset.owner.bytes -= asset.bytes
        asset.owner, asset.bytes = owner, size
        if owner:
            owner.bytes += size
            owner.check(at)

    def known(self, line, _, tenant):
        asset = self.assets.get(text(line, "asset"))
        need(asset and not asset.deleted, f"unknown asset: {line['asset']}")
        need(asset.owner is tenant, f"asset {line['asset']} is not of tenant {tenant.name}")
        return asset

    def put(self, line, at, tenant):
        name = text(line, "asset")
        type_, origin = choice(line, "type", TYPES), choice(line, "origin", ORIGINS)
        size = number(line, "bytes")
        created = parse_instant(line["created"]) if "created" in line else at
        need(created <= at, "created later than at")
        asset = self.assets.get(name)
        if not asset:
            asset = self.assets[name] = Asset(origin, type_, created)
        else:
            need(not asset.deleted, f"asset {name} was deleted")
            need(asset.owner is None or asset.owner is tenant, f"asset {name} is not of tenant {tenant.name}")
            need(origin == asset.origin, f"origin of asset {name}")
            need(origin != "CUSTOMIZED" or type_ == asset.type, f"type of asset {name}")
            if asset.owner:
                need("created" not in line, "created twice")
            else:
                need(created == asset.created, f"asset {name} is known with another created")
        self.move(asset, at, tenant, size)

    def produce(self, line, at, tenant):
        name = text(line, "asset")
        seconds, size = number(line, "seconds"), number(line, "bytes")
        need(name not in self.assets, f"asset {name} is known")
        asset = self.assets[name] = Asset("CUSTOMIZED", "VIDEO", at)
        self.move(asset, at, tenant, size)
        hundredths = (seconds * 100 * 2 + 60) // 120
        tenant.videos.append((at, hundredths, tenant.draw(hundredths, at)))

    def delete(self, line, at, tenant):
        asset = self.known(line, at, tenant)
        self.move(asset, at, None, 0)
        asset.deleted = True

    def transfer(self, line, at, tenant):
        asset = self.known(line, at, tenant)
        need("to" in line, "to: missing")
        to = None
        if line["to"] is not None:
            to = self.tenants.get(text(line, "to"))
            need(to, f"no such tenant: {line['to']}")
            need(to is not tenant, "a transfer to oneself")
        self.move(asset, at, to, asset.bytes)

    def package(self, line, at, tenant):
        name = text(line, "package")
        text(line, "name")
        choice(line, "kind", KINDS)
        number(line, "amount")
        months, terms = number(line, "months", 0, 120), number(line, "terms", 1, 1200)
        if "paid" in line:
            flag(line, "paid")
        need(months > 0 or terms == 1, "months 0 with more than one term")
        need(name not in self.packages, f"package {name} is known")
        package = Package(line, at)
        self.packages[name] = tenant, package
        tenant.packages.append(package)
        self.buy(tenant, package, terms, at)

    def renew(self, line, at, tenant):
        name = text(line, "package")
        terms = number(line, "terms", 1, 1200)
        need(name in self.packages, f"unknown package: {name}")
        owner, package = self.packages[name]
        need(owner is tenant, f"package {name} is not of tenant {tenant.name}")
        need(package.months > 0, "a package without end is not renewed")
        self.buy(tenant, package, terms, at)

    def buy(self, tenant, package, terms, at):
        for start, end, amount in package.buy(terms, at):
            if package.kind == "ASSET_MANAGER":
                tenant.period("allowance", start, end, amount)
            if package.paid:
                tenant.fees.append((start, package.name))
        tenant.check(at)


# ---- sections 3 and 4: days, lines, statements -------------------------------------------------------------------

DAY_LINE = ('{"tenant":%s,"day":"%s","standard":"%d","produced_free":"%d","produced":"%d","excluded":"%d",'
            '"allowance":"%d","excess":"%d","video_hundredths":"%d","video_paid_hundredths":"%d",'
            '"storage_micros":"%d","video_micros":"%d","package_micros":"%d","total_micros":"%d"}\n')
MONTH_LINE = '{"tenant":%s,"month":"%s","total_micros":"%d","total":"%s","currency":"%s"}\n'


def days_of(tenant, limit):
    """(midnight, integrals of the four classes, of allowance and of excess) of every closed day."""
    changes = sorted(tenant.changes, key=lambda change: change[0])
    level = dict.fromkeys(CLASSES + ("allowance",), 0)
    now = tenant.first
    midnight = now // DAY * DAY
    place = 0
    while midnight + DAY <= limit:
        sums = [0] * 6
        while now < midnight + DAY:
            while place < len(changes) and changes[place][0] <= now:
                _, counter, amount = changes[place]
                level[counter] += amount
                place += 1
            until = min(changes[place][0] if place < len(changes) else FOREVER, midnight + DAY)
            excess = max(0, level["standard"] + level["produced"] - level["allowance"])
            for index, value in enumerate((*level.values(), excess)):
                sums[index] += value * (until - now)
            now = until
        yield midnight, sums
        midnight += DAY


def by_day(rows, width):
    found = {}
    for at, *values in rows:
        sums = found.setdefault(at // DAY * DAY, [0] * width)
        for index, value in enumerate(values):
            sums[index] += value
    return found


def bill_of(tenant, limit, rates):
    videos = by_day(tenant.videos, 2)
    fees = by_day(((at, rates.of(date_of(at)).package(name)) for at, name in tenant.fees), 1)
    name = json.dumps(tenant.name, ensure_ascii=False)
    lines, months, month = [], [], None
    for midnight, sums in days_of(tenant, limit):
        date = date_of(midnight)
        if month != (date.year, date.month):
            month, card = (date.year, date.month), rates.of(date)
            month_ms = calendar.monthrange(*month)[1] * DAY
            excess = paid = storage_before = video_before = 0
            months.append([date.isoformat()[:7], 0, 0, 0, 0])
        taken, pay_per_use = videos.get(midnight, (0, 0))
        excess += sums[5]
        paid += pay_per_use
        storage, video = card.storage(excess, month_ms), card.video(paid)
        fee, = fees.get(midnight, (0,))
        micros = storage - storage_before, video - video_before, fee
        storage_before, video_before = storage, video
        lines.append(DAY_LINE % (name, date.isoformat(), *sums, taken, pay_per_use, *micros, sum(micros)))
        for index, value in enumerate((*micros, sum(micros)), 1):
            months[-1][index] += value
    for month, *items, total in months:
        assert sum(items) == total
        lines.append(MONTH_LINE % (name, month, total, rates.amount(total), rates.currency))
    return lines


def bill(history_path, rates_path):
    """The bill as a list of lines; Bad with its place otherwise."""
    with open(rates_path, "rb") as file:
        try:
            rates = Rates(file.read())
        except Bad as bad:
            raise Bad(f"rates: {bad}") from bad
    history = History()
    with open(history_path, "rb") as file:
        try:
            history.read(file)
        except Bad as bad:
            raise Bad(f"line {max(history.lines, 1)}: {bad}") from bad
    limit = history.end // DAY * DAY
    return [line for tenant in history.tenants.values() for line in bill_of(tenant, limit, rates)]


def main():
    if len(sys.argv) != 5 or sys.argv[1] != "--history" or sys.argv[3] != "--rates":
        sys.exit(__doc__)
    try:
        lines = bill(sys.argv[2], sys.argv[4])
    except Bad as bad:
        print(bad, file=sys.stderr)
        sys.exit(2)
    sys.stdout.reconfigure(encoding="utf-8")
    sys.stdout.writelines(lines)


if __name__ == "__main__":
    main()
