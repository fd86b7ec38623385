"""The North American Numbering Plan as prices need it: which state or province an area code is of, and whose it is.

Law: where a call's jurisdiction is not certain there is none. A price for calls within a state, or between states,
counts only where both numbers are whole numbers of area codes known to be of the one country; else the price that is
for calls of no certain jurisdiction (indeterminate) does, and never the cheaper one by a guess.

Source: the numbering and geocoding data of Google's libphonenumber, release 9.0.43 (2026), with the territories of the
United States as 47 U.S.C. 153 counts them. Area codes do not cross the borders of states. Left out, so that their calls
are indeterminate: 782, 867 and 902, which several provinces share, and what is no place (toll-free, 5XX, 600, 700 and
900).
An area code that came into use later is indeterminate too, until it stands here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Jurisdiction(StrEnum):
    """Of a call within one country: INTER between two states or provinces, INTRA within one."""

    INTER = "inter"
    INTRA = "intra"


_UNITED_STATES: Final = """
AK 907
AL 205 251 256 334 659 938
AR 327 479 501 870
AS 684
AZ 480 520 602 623 928
CA 209 213 279 310 323 341 350 369 408 415 424 442 510 530 559 562 619 626 628 650 657 661 669 707 714 738 747
   760 805 818 820 831 840 858 909 916 925 949 951
CO 303 719 720 748 970 983
CT 203 475 860 959
DC 202 771
DE 302
FL 239 305 321 324 352 386 407 448 561 645 656 689 727 728 754 772 786 813 850 863 904 941 954
GA 229 404 470 478 678 706 762 770 912 943
GU 671
HI 808
IA 319 515 563 641 712
ID 208 986
IL 217 224 309 312 331 447 464 618 630 708 730 773 779 815 847 872
IN 219 260 317 463 574 765 812 930
KS 316 620 785 913
KY 270 364 502 606 859
LA 225 318 337 504 985
MA 339 351 413 508 617 774 781 857 978
MD 227 240 301 410 443 667
ME 207
MI 231 248 269 313 517 586 616 734 810 906 947 989
MN 218 320 507 612 651 763 952
MO 235 314 417 557 573 636 660 816 975
MP 670
MS 228 601 662 769
MT 406
NC 252 336 472 704 743 828 910 919 980 984
ND 701
NE 308 402 531
NH 603
NJ 201 551 609 640 732 848 856 862 908 973
NM 505 575
NV 702 725 775
NY 212 315 329 332 347 363 516 518 585 607 631 646 680 716 718 838 845 914 917 929 934
OH 216 220 234 283 326 330 380 419 440 513 567 614 740 937
OK 405 539 572 580 918
OR 458 503 541 971
PA 215 223 267 272 412 445 484 570 582 610 717 724 814 835 878
PR 787 939
RI 401
SC 803 821 839 843 854 864
SD 605
TN 423 615 629 731 865 901 931
TX 210 214 254 281 325 346 361 409 430 432 469 512 682 713 726 737 806 817 830 832 903 915 936 940 945 956 972
   979
UT 385 435 801
VA 276 434 540 571 686 703 757 804 826 948
VI 340
VT 802
WA 206 253 360 425 509 564
WI 262 274 353 414 534 608 715 920
WV 304 681
WY 307
"""
_CANADA: Final = """
AB 368 403 587 780 825
BC 236 250 257 604 672 778
MB 204 431 584
NB 428 506
NL 709 879
ON 226 249 289 343 365 382 416 437 519 548 613 647 683 705 742 753 807 905 942
QC 263 273 354 367 418 438 450 468 514 579 581 819 873
SK 306 474 639
"""
_SHARED: Final = "782 867 902"  # of Canada, and of more than one province
# The other countries of the plan; each has area codes of its own.
_OTHERS: Final = """
AG 268
AI 264
BB 246
BM 441
BS 242
DM 767
DO 809 829 849
GD 473
JM 658 876
KN 869
KY 345
LC 758
MS 664
SX 721
TC 649
TT 868
VC 784
VG 284
"""
# Of no country: toll-free, personal, premium and other services.
_SERVICES: Final = re.compile(r"5(00|2[1-9]|33|44|66|77|88)|6(00|22|33)|700|710|8(00|22|33|44|55|66|77|8\d)|900")

_NUMBER: Final = re.compile(r"1([2-9]\d\d)[2-9]\d{6}", re.ASCII)


def _read(text: str) -> dict[str, str]:
    """Area code to state, of lines that begin with the state or go on with the one before."""
    found: dict[str, str] = {}
    state = ""
    for word in text.split():
        if word.isdigit():
            found[word] = state
        else:
            state = word
    return found


_STATES: Final = _read(_UNITED_STATES)
_PROVINCES: Final = _read(_CANADA)
# Area code to country and state: calls have a jurisdiction within a country alone.
_PLACES: Final[Mapping[str, tuple[str, str]]] = {
    **{npa: ("US", state) for npa, state in _STATES.items()},
    **{npa: ("CA", province) for npa, province in _PROVINCES.items()},
}
_COUNTRIES: Final[Mapping[str, str]] = {
    **{npa: country for npa, (country, _) in _PLACES.items()},
    **dict.fromkeys(_SHARED.split(), "CA"),
    **_read(_OTHERS),
}


def jurisdiction_of(caller: str, called: str) -> Jurisdiction | None:
    """Of a call from a number to a number, both as E.164 digits; None: indeterminate."""
    if not (caller.startswith("1") and called.startswith("1")):
        return None
    one, other = _NUMBER.fullmatch(caller), _NUMBER.fullmatch(called)
    if one is None or other is None:
        return None
    here, there = _PLACES.get(one[1]), _PLACES.get(other[1])
    if here is None or there is None or here[0] != there[0]:
        return None
    return Jurisdiction.INTRA if here == there else Jurisdiction.INTER


def country_of_area(npa: str) -> str:
    """The country whose an area code is, as ISO 3166 has it.

    One that is not known is of the United States, as most are; one of services is of no country ('').
    """
    if _SERVICES.fullmatch(npa):
        return ""
    return _COUNTRIES.get(npa, "US")
