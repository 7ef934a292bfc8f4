"""What the made-up records are made of: a fast seeded draw, word lists, references and `_info`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from cwconnect.sandbox.jsontext import Record
from cwconnect.sandbox.reference_names import NAMES, child_id

T = TypeVar("T")
BASE = "https://sandbox.example/v4_6_release/apis/3.0"
COMPANIES = 40
_MASK = (1 << 64) - 1


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FIRST_NAMES = _words(
    "Alice Amara Andrés Anna Benedikt Björn Carla Chen Chloé Daniel Diego Dylan Elena Emma Farah Felix Fiona "
    "George Grace Hannah Hiro Ines Ivan Jack James Jasmin Jonas Julia Karim Kateřina Laura Leo Liam Linh Lucía "
    "Maeve Malik Maria Mei Mohamed Nadia Nina Noah Olga Oliver Omar Paula Peter Priya Rahul Rosa Ruth Samuel Sara "
    "Søren Sofia Tariq Thomas Uma Vera Viktor Wanda Yusuf Zoë"
)
LAST_NAMES = _words(
    "Abbott Ahmed Almeida Andersen Bauer Bennett Brown Castillo Chaudhry Cohen Cooper Dubois Eriksen Fischer "
    "Flores Fraser García Gruber Hansen Hughes Ito Ivanova Jensen Johnson Kaya Khan Kim Kowalski Larsen Lee "
    "Lindqvist López MacDonald Martin Mbeki Meyer Müller Nguyen Novák O'Brien Okafor Olsen Park Patel Pereira "
    "Quinn Ramírez Rossi Sato Schmidt Silva Singh Smith Suzuki Tanaka Taylor Torres Vargas Wang Weber Williams "
    "Wójcik Yılmaz Zhang"
)
TITLES = (
    "Office Manager",
    "IT Manager",
    "Controller",
    "Chief Financial Officer",
    "Owner",
    "Receptionist",
    "Systems Administrator",
    "Practice Manager",
    "Operations Director",
    "Accountant",
    "Purchasing Agent",
    "Warehouse Lead",
    "Partner",
    "Paralegal",
    "HR Generalist",
    "Plant Engineer",
)
PROBLEMS = (
    "Outlook keeps asking for a password",
    "Printer on the second floor is offline",
    "New laptop for an employee starting Monday",
    "VPN drops every hour",
    "Backup of the file server failed",
    "Mailbox is full",
    "Please reset the password of the front desk",
    "Slow Wi-Fi in the meeting room",
    "Disk space below 10 % on SQL01",
    "Phishing mail reported by a user",
    "Shared calendar is not visible",
    "Monitor flickers",
    "License renewal is due",
    "Phone has no dial tone",
    "Antivirus alert on a workstation",
    "Scanner can't reach the network folder",
)
COMPANY_WORDS = _words(
    "Alder Basalt Cedar Delta Ember Fjord Granite Harbor Iris Juniper Kestrel Lantern Meadow Northwind Orchard Prairie"
)
COMPANY_KINDS = ("Dental", "Logistics", "Law", "Foods", "Architects", "Insurance", "Machining", "Clinic")
CITIES = (
    ("Tampa", "FL", "33602"),
    ("Denver", "CO", "80202"),
    ("Portland", "ME", "04101"),
    ("Boise", "ID", "83702"),
    ("Austin", "TX", "78701"),
    ("Duluth", "MN", "55802"),
    ("Reno", "NV", "89501"),
    ("Troy", "NY", "12180"),
)
STREETS = ("Main St", "Harbor Rd", "2nd Ave", "Mill Ln", "Station Sq", "Oak Blvd", "Ridge Dr", "Canal St")
MEMBERS = ("training1", "jhansen", "mquinn", "rpatel", "slee", "tweber", "zadmin1", "akhan")


class Draw:
    """Numbers that depend on seed, list and id alone; a linear congruential generator, since 100,000 records wait."""

    __slots__ = ("state",)

    def __init__(self, seed: int, salt: int, number: int) -> None:
        self.state = (seed * 0x9E3779B97F4A7C15 ^ salt * 0xC2B2AE3D27D4EB4F) + number * 0x165667B19E3779F9 & _MASK
        self.below(2)

    def below(self, limit: int) -> int:
        """Return a number from 0 to `limit` - 1."""
        self.state = self.state * 6364136223846793005 + 1442695040888963407 & _MASK
        return (self.state >> 33) % limit

    def pick(self, choices: Sequence[T]) -> T:
        """Return one of `choices`."""
        return choices[self.below(len(choices))]


def ref(number: int, name: str, href: str, path: str) -> Record:
    """Return a reference as ConnectWise nests it: id, name and where to find it."""
    return {"id": number, "name": name, "_info": {f"{href}_href": f"{BASE}{path}/{number}"}}


def choose(draw: Draw, names: Sequence[str], href: str, path: str) -> Record:
    """Return a reference to one of a small, fixed set."""
    number = draw.below(len(names))
    return ref(number + 1, names[number], href, path)


def custom_field(number: int, caption: str, value: str | int, kind: str = "Text") -> Record:
    """Return a user-defined field of a record, as its definition at `/system/userDefinedFields` says."""
    field = {"caption": caption, "type": kind, "entryMethod": "EntryField", "numberOfDecimals": 0}
    return {"id": number} | field | {"value": value}


def company_name(number: int) -> str:
    """Return the name of company `number`, the same wherever it is mentioned."""
    return f"{COMPANY_WORDS[number % 16]} {COMPANY_KINDS[number // 16 % 8]} {number}"


def company_ref(number: int) -> Record:
    """Return a reference to a company."""
    name = company_name(number)
    href = {"company_href": f"{BASE}/company/companies/{number}"}
    return {"id": number, "identifier": name.replace(" ", ""), "name": name, "_info": href}


def member_ref(draw: Draw) -> Record:
    """Return a reference to a member of the service provider."""
    number = draw.below(len(MEMBERS))
    href = {"member_href": f"{BASE}/system/members/{number + 1}"}
    return {"id": number + 1, "identifier": MEMBERS[number], "name": MEMBERS[number].title(), "_info": href}


def phone(draw: Draw) -> str:
    """Return a telephone number of the range kept for fiction."""
    return f"{200 + draw.below(700)}5550{100 + draw.below(100)}"


def company(draw: Draw) -> Record:
    """Return a reference to one of the companies that have customers of ours."""
    return company_ref(1 + draw.below(COMPANIES))


def beneath(draw: Draw, parent: int, names: Sequence[str], href: str, path: str) -> Record:
    """Return a reference to one of the few records beneath a parent, such as a board's statuses; `path` has its id."""
    place = draw.below(len(names))
    return ref(child_id(parent, place), names[place], href, path)


def site(draw: Draw, company: int) -> Record:
    """Return a reference to one of a company's sites."""
    path = f"/company/companies/{company}/sites"
    return beneath(draw, company, NAMES["/company/companies/{}/sites"], "site", path)


def contact_ref(draw: Draw) -> Record:
    """Return a reference to one of the first 200 contacts."""
    name = f"{draw.pick(FIRST_NAMES)} {draw.pick(LAST_NAMES)}"
    return ref(1 + draw.below(200), name, "contact", "/company/contacts")
