#!/usr/bin/env python3
"""Prints the first days of the Vietnamese lunar years as rows of lunar.rs.

The year begins with the second new moon after the one before (or on) the winter solstice, as days are counted at 105 E
(UTC+7); a leap month may come between. Astronomy after Meeus, Astronomical Algorithms, chapters 25 and 49, without the
terms below a minute.

    python3 lunar.py 2000 2050
"""
import datetime
import math
import sys

sin = lambda degrees: math.sin(math.radians(degrees))
ZONE = 7 / 24


def new_moon(k):
    """Julian day (UT) of the new moon number k; 0 is that of 2000-01-06."""
    t = k / 1236.85
    day = 2451550.09766 + 29.530588861 * k + 0.00015437 * t * t
    e = 1 - 0.002516 * t
    sun = 2.5534 + 29.1053567 * k
    moon = 201.5643 + 385.81693528 * k + 0.0107582 * t * t
    node = 160.7108 + 390.67050284 * k - 0.0016118 * t * t
    omega = 124.7746 - 1.56375588 * k
    day += (-0.40720 * sin(moon) + 0.17241 * e * sin(sun) + 0.01608 * sin(2 * moon) + 0.01039 * sin(2 * node)
            + 0.00739 * e * sin(moon - sun) - 0.00514 * e * sin(moon + sun) + 0.00208 * e * e * sin(2 * sun)
            - 0.00111 * sin(moon - 2 * node) - 0.00057 * sin(moon + 2 * node) + 0.00056 * e * sin(2 * moon + sun)
            - 0.00042 * sin(3 * moon) + 0.00042 * e * sin(sun + 2 * node) + 0.00038 * e * sin(sun - 2 * node)
            - 0.00024 * e * sin(2 * moon - sun) - 0.00017 * sin(omega))
    year = 2000 + (day - 2451545) / 365.25
    delta = 62.92 + 0.32217 * (year - 2000) + 0.005589 * (year - 2000) ** 2
    return day - delta / 86400


def sun_longitude(day):
    """Apparent longitude of the sun, in degrees."""
    t = (day - 2451545) / 36525
    mean = 280.46646 + 36000.76983 * t
    m = 357.52911 + 35999.05029 * t
    centre = (1.914602 - 0.004817 * t) * sin(m) + 0.019993 * sin(2 * m) + 0.000289 * sin(3 * m)
    return (mean + centre - 0.00569 - 0.00478 * sin(125.04 - 1934.136 * t)) % 360


def local_day(moment):
    """The Julian day number of the civil day in Viet Nam."""
    return math.floor(moment + 0.5 + ZONE)


def sector(day):
    """Which twelfth of its course the sun has reached when the civil day begins."""
    return math.floor(sun_longitude(day - 0.5 - ZONE) / 30)


def eleventh_month(year):
    """Number of the new moon that begins the month of the winter solstice."""
    k = math.floor((datetime.date(year, 12, 31).toordinal() + 1721424.5 - 2451550.1) / 29.530588861) + 1
    while local_day(new_moon(k)) > datetime.date(year, 12, 31).toordinal() + 1721425:
        k -= 1
    # The month in which the sun has not passed 270 degrees by its first day, but has by the next month's.
    return k - 1 if sector(local_day(new_moon(k))) >= 9 else k


def new_year(year):
    k, following = eleventh_month(year - 1), eleventh_month(year)
    months = following - k
    first = 2
    if months == 13:
        leap = next(i for i in range(1, 14)
                    if sector(local_day(new_moon(k + i))) == sector(local_day(new_moon(k + i + 1))))
        first += leap <= 2
    return datetime.date.fromordinal(local_day(new_moon(k + first)) - 1721425)


if __name__ == "__main__":
    for year in range(int(sys.argv[1]), int(sys.argv[2]) + 1):
        date = new_year(year)
        print(f"    ({date.month}, {date.day}),")
