#!/usr/bin/env python3
"""Writes the demonstration city's data files beside this script.

    python3 generate.py SOURCES

SOURCES is the folder of raw material, with geo/, indicators/, catalogue/ and feedback/ as README.md
describes it. Written: units.csv, unit_changes.csv, boundaries.geojson, indicators.csv,
observations.csv, targets.csv and feedback.csv. The rest of the folder is written by hand. The
same sources give the same bytes: every made-up figure comes from a generator seeded by its name,
nothing from the clock. What lies in the future is left out by the loader on the day it loads.
"""
import csv
import gzip
import json
import math
import random
import re
import sys
import unicodedata
from collections import Counter, defaultdict
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

HERE = Path(__file__).parent
CITY, NATION = "79", "VN"
REFORM = "2025-07-01"           # the two-tier government begins
WARD_MERGER = "2025-01-01"      # 39 wards fewer
LAST_YEAR = 2027                # made-up series end with it; a loader takes what is known by its own day
LOCAL = timezone(timedelta(hours=7))
MADE_UP = "minh họa: dựng cho bản trình diễn"


def rows(path):
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8", newline="") as f:
        return list(csv.DictReader(f))


def write(name, header, data):
    with open(HERE / name, "w", encoding="utf-8", newline="") as f:
        out = csv.writer(f, lineterminator="\n")
        out.writerow(header.split(","))
        out.writerows([unicodedata.normalize("NFC", str(c)) for c in r] for r in data)
    print(f"{name}: {len(data)}")


def rng(*name):
    return random.Random("civicmesh " + " ".join(map(str, name)))


# ---- units -----------------------------------------------------------------------------------

DEPARTMENTS = """
D-OFF|Văn phòng Ủy ban nhân dân Thành phố|Office of the People's Committee|X4
D-FIN|Sở Tài chính|Department of Finance|T03 T04 T06 X3
D-HLT|Sở Y tế|Department of Health|T01 T16
D-EDU|Sở Giáo dục và Đào tạo|Department of Education and Training|T15
D-CON|Sở Xây dựng|Department of Construction|T04 T12 T20
D-PLA|Sở Quy hoạch - Kiến trúc|Department of Planning and Architecture|T04
D-AGR|Sở Nông nghiệp và Môi trường|Department of Agriculture and Environment|T01 T08 T18 T20
D-IND|Sở Công Thương|Department of Industry and Trade|T09 T10 T11
D-HOM|Sở Nội vụ|Department of Home Affairs|T02 X3
D-JUS|Sở Tư pháp|Department of Justice|T01 T19
D-SCI|Sở Khoa học và Công nghệ|Department of Science and Technology|T13 T14 X3
D-CUL|Sở Văn hóa và Thể thao|Department of Culture and Sports|T17
D-TOU|Sở Du lịch|Department of Tourism|T17
D-FSA|Sở An toàn thực phẩm|Department of Food Safety|T16
D-ETH|Sở Dân tộc và Tôn giáo|Department of Ethnic and Religious Affairs|T18
D-INS|Thanh tra Thành phố|City Inspectorate|X2 X4
D-POL|Công an Thành phố|City Police|T19
D-STA|Thống kê Thành phố|City Statistics Office|T01 T02 T05 T11
D-TAX|Thuế Thành phố|City Tax Office|T06
D-CUS|Chi cục Hải quan khu vực II|Regional Customs Sub-department II|T06
D-TRE|Kho bạc Nhà nước khu vực II|Regional State Treasury II|T06
D-SOC|Bảo hiểm xã hội Thành phố|City Social Insurance|T07
D-DTC|Trung tâm Chuyển đổi số Thành phố (1022)|City Digital Transformation Centre (1022)|T13 X2
D-PAS|Trung tâm Phục vụ hành chính công Thành phố|City Public Administration Service Centre|X1
D-HEP|Ban Quản lý các khu chế xuất và công nghiệp Thành phố|Export Processing and Industrial Zones Authority|T04 T09
U-SAW|Tổng công ty Cấp nước Sài Gòn (SAWACO)|Saigon Water Corporation (SAWACO)|T20
U-EVN|Tổng công ty Điện lực Thành phố (EVNHCMC)|City Power Corporation (EVNHCMC)|T09
"""

KIND_OF_TYPE = {"Phường": "ward", "Xã": "commune", "Thị trấn": "commune", "Đặc khu": "special_zone"}
TONE = str.maketrans({"ò": "o", "ó": "o", "ỏ": "o", "õ": "o", "ọ": "o", "ù": "u", "ú": "u", "ủ": "u", "ũ": "u", "ụ": "u"})
MARKED = {("o", "a"): "àáảãạ", ("o", "e"): "èéẻẽẹ", ("u", "y"): "ỳýỷỹỵ"}


def spell(name):
    """One spelling of a place name: NFC, single spaces, `Hoà` as in the code list of July 2025, `Phường 5`."""
    name = " ".join(unicodedata.normalize("NFC", name).split())

    def move(m):
        first, second = m.group(1), m.group(2)
        tone = "òóỏõọ".find(first) if first in "òóỏõọ" else "ùúủũụ".find(first)
        return MARKED[(first.translate(TONE), second)][tone]

    name = re.sub(r"([òóỏõọ])([ae])\b|([ùúủũụ])(y)\b",
                  lambda m: (m.group(1) or m.group(3)).translate(TONE) + move(re.match(r"(.)(.)", m.group(0))), name)
    return re.sub(r"^Phường 0+(\d)", r"Phường \1", name)


def ascii_of(name):
    name = name.replace("Đ", "D").replace("đ", "d")
    return "".join(c for c in unicodedata.normalize("NFD", name) if not unicodedata.combining(c))


def english(name):
    for prefix, suffix in (("Phường ", "Ward"), ("Xã ", "Commune"), ("Thị trấn ", "Town"),
                           ("Thành phố ", "City"), ("Quận ", "District"), ("Huyện ", "District")):
        if name.startswith(prefix):
            bare = ascii_of(name[len(prefix):])
            return f"{suffix} {bare}" if bare.isdigit() else f"{bare} {suffix}"
    raise ValueError(name)


def rings_area(ring):
    return sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in zip(ring, ring[1:])) / 2


def polygons(geometry):
    return geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]


def inside(polygon, x, y):
    hit = False
    for ring in polygon:
        for (x1, y1), (x2, y2) in zip(ring, ring[1:]):
            if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
                hit = not hit
    return hit


def border_distance(polygon, x, y):
    best = math.inf
    for ring in polygon:
        for (x1, y1), (x2, y2) in zip(ring, ring[1:]):
            dx, dy = x2 - x1, y2 - y1
            t = max(0, min(1, ((x - x1) * dx + (y - y1) * dy) / (dx * dx + dy * dy or 1)))
            best = min(best, math.hypot(x1 + t * dx - x, y1 + t * dy - y))
    return best


def label_point(geometry):
    """The point of the largest polygon that is farthest from its border, by a grid refined three times."""
    polygon = max(polygons(geometry), key=lambda p: abs(rings_area(p[0])))
    xs, ys = zip(*polygon[0])
    cx, cy, w, h = (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2, max(xs) - min(xs), max(ys) - min(ys)
    for _ in range(3):
        grid = [(cx + w * (i / 14 - 0.5), cy + h * (j / 14 - 0.5)) for i in range(15) for j in range(15)]
        cx, cy = max(((x, y) for x, y in grid if inside(polygon, x, y)), key=lambda p: border_distance(polygon, *p))
        w, h = w / 6, h / 6
    return round(cx, 5), round(cy, 5)


def load_boundaries(sources):
    layer = json.loads((sources / "geo/hcmc_2025-07_wards168.web.geojson").read_text())
    return {f["properties"]["code"]: f["geometry"] for f in sorted(layer["features"], key=lambda f: f["properties"]["code"])}


def write_boundaries(shapes):
    features = ",\n".join(json.dumps({"type": "Feature", "properties": {"code": c}, "geometry": g}, separators=(",", ":"))
                          for c, g in shapes.items())
    (HERE / "boundaries.geojson").write_text('{"type":"FeatureCollection","features":[\n' + features + "\n]}\n")


def weights(shares):
    """Shares as six-decimal weights that sum to exactly one (largest remainders)."""
    total = sum(shares)
    exact = [s / total * 1_000_000 for s in shares]
    units = [math.floor(e) for e in exact]
    for i in sorted(range(len(exact)), key=lambda i: units[i] - exact[i])[:1_000_000 - sum(units)]:
        units[i] += 1
    return [f"{u // 1_000_000}.{u % 1_000_000:06d}" for u in units]


def units_and_changes(sources, shapes):
    geo = sources / "geo"
    old = [r for r in rows(geo / "units_2024-09.csv") if r["province_code"] == CITY]
    mid = {r["ward_code"]: r for r in rows(geo / "units_2025-03.csv") if r["province_code"] == CITY}
    first = rows(geo / "crosswalk_2021_to_2025-01.csv")
    second = [r for r in rows(geo / "crosswalk_2025-01_to_2025-07.csv") if r["old_province_code"] == CITY]

    units = [(NATION, "VN", "country", "Việt Nam", "Viet Nam", "", "1976-07-02", "", "", "", ""),
             (CITY, CITY, "city", "Thành phố Hồ Chí Minh", "Ho Chi Minh City", NATION, "1976-07-02", "", "", 106.70098, 10.77653)]
    for line in DEPARTMENTS.strip().splitlines():
        key, vi, en, fields = line.split("|")
        units.append((key, key, "department", vi, en, CITY, REFORM, "", fields.replace(" ", "|"), "", ""))
    for code, name in sorted({(r["district_code"], r["district_name"]) for r in old}):
        units.append((code, code, "district", spell(name), english(spell(name)), CITY, "2021-01-01", "2025-06-30", "", "", ""))

    merged_into = {r["old_code"]: r["new_code"] for r in first if r["change"] == "merged"}
    for r in old:
        code, name = r["ward_code"], spell(r["ward_name"])
        end = "2024-12-31" if code in merged_into else "2025-06-30"
        units.append((f"{code}.2021", code, KIND_OF_TYPE[r["ward_type"]], name, english(name), r["district_code"], "2021-01-01", end, "", "", ""))
    for code in sorted(set(merged_into.values())):
        # Two wards of Phú Nhuận are typed as communes in the list of 2025; every merged unit is a ward.
        name = re.sub("^Xã", "Phường", spell(mid[code]["ward_name"]))
        units.append((f"{code}.2025-01", code, "ward", name, english(name), mid[code]["district_code"], WARD_MERGER, "2025-06-30", "", "", ""))
    for r in rows(geo / "units_2025-07.csv"):
        code, name = r["ward_code"], spell(r["ward_name"])
        en = r["name_en"].replace("Special administrative region", "Special Zone")
        units.append((code, code, KIND_OF_TYPE[r["ward_type"]], name, en, CITY, REFORM, "", "", *label_point(shapes[code])))

    changes = [(WARD_MERGER, "merge", f"{o}.2021", f"{n}.2025-01", "1.000000", "whole", "single_source") for o, n in sorted(merged_into.items())]
    parts, heirs = defaultdict(list), Counter(r["new_code"] for r in second)
    for r in second:
        parts[r["old_code"]].append(r)
    new_areas = set(merged_into.values())
    for code, heads in sorted(parts.items()):
        key = f"{code}.2025-01" if code in new_areas else f"{code}.2021"
        split = len(heads) > 1
        shares = weights([float(r["overlay_share_of_old_area"]) if split else 1 for r in heads])
        for r, weight in zip(heads, shares):
            kind = "split" if split else "merge" if heirs[r["new_code"]] > 1 else "rename"
            changes.append((REFORM, kind, key, r["new_code"], weight, "area" if split else "whole",
                            "confirmed" if r["confirmed_by_second_source"] == "1" else "single_source"))
    changes += [(REFORM, "abolish", u[0], "", "1.000000", "whole", "confirmed") for u in units if u[2] == "district"]
    return units, changes


# ---- indicators ------------------------------------------------------------------------------

# code | kind | groups | owner | ytd rule | decimals | min | max
JUDGEMENTS = """
HCM.01.01|impact|QD05|D-STA|last|1|5000|30000
HCM.01.02|output|QD05|D-JUS|last|1|0|100
HCM.01.03|impact|QD05 LONG|D-HLT|last|2|0.5|4
HCM.02.01|output|QD05 GOV|D-HOM|sum|0|0|100000
HCM.02.02|impact|QD05 GOV|D-STA|last|2|0|30
HCM.02.03|output|QD05 LONG|D-STA|last|1|0|100
HCM.02.04|impact|QD05 LONG|D-STA|published|2|-20|30
HCM.03.01|output|QD05 GOV SECTOR|D-FIN|sum|0|0|30000
HCM.03.02|output|QD05 SECTOR|D-FIN|sum|0|0|1000000
HCM.03.03|impact|QD05 SECTOR|D-FIN|sum|0|0|30000
HCM.04.01|input|QD05 GOV|D-FIN|sum|0|0|1000000
HCM.04.02|input|QD05 LONG|D-FIN|published|1|0|100
HCM.04.03|process|GOV SECTOR|D-FIN|last|0|0|400000
HCM.04.04|process|GOV SECTOR THEMATIC|D-FIN|ratio|2|0|120
HCM.04.05|input|QD05 GOV|D-FIN|sum|1|0|10000
HCM.04.06|output|GOV THEMATIC|D-CON|sum|0|0|30000
HCM.05.01|impact|QD05 GOV LONG|D-STA|published|2|-30|40
HCM.05.02|impact|GOV|D-STA|published|2|-30|40
HCM.05.03|impact|QD05|D-STA|sum|0|0|3000000
HCM.05.04|impact|QD05 LONG|D-STA|published|0|0|50000
HCM.05.05|impact|QD05 LONG|D-STA|published|1|-100|200
HCM.05.06|impact|QD05 GOV LONG|D-STA|published|2|0|100
HCM.06.01|output|QD05 GOV|D-FIN|sum|0|0|200000
HCM.06.02|output|QD05 GOV|D-TAX|sum|0|0|150000
HCM.06.03|output|QD05 GOV|D-CUS|sum|0|0|50000
HCM.06.04|input|QD05 GOV|D-TRE|sum|0|0|100000
HCM.07.01|output|QD05 GOV|D-SOC|last|2|0|100
HCM.08.01|impact|QD05|D-AGR|published|2|-30|40
HCM.09.01|impact|QD05 GOV|D-IND|published|1|50|200
HCM.10.01|impact|QD05 GOV|D-IND|sum|0|0|500000
HCM.10.02|impact|QD05 GOV|D-IND|sum|1|0|60000
HCM.11.01|impact|QD05 GOV|D-STA|published|2|80|150
HCM.12.01|output|QD05 SECTOR|D-CON|sum|0|0|150000000
HCM.13.01|process|GOV SECTOR|D-SCI|ratio|2|0|100
HCM.14.01|input|QD05 LONG|D-SCI|published|2|0|20
HCM.15.01|input|QD05 LONG|D-EDU|last|0|0|1000
HCM.15.02|output|QD05 LONG|D-EDU|last|1|0|100
HCM.16.01|input|QD05 LONG|D-HLT|last|1|0|200
HCM.16.02|input|QD05 LONG|D-HLT|last|1|0|100
HCM.16.03|output|LONG THEMATIC|D-HLT|ratio|1|0|100
HCM.16.04|impact|SECTOR|D-HLT|sum|0|0|50000
HCM.17.01|impact|QD05 SECTOR|D-TOU|sum|0|0|5000000
HCM.17.02|impact|SECTOR|D-TOU|sum|0|0|100000
HCM.18.01|impact|QD05 LONG|D-AGR|last|2|0|100
HCM.19.01|impact|QD05 SECTOR|D-POL|sum|0|0|2000
HCM.19.02|impact|QD05 SECTOR|D-POL|sum|0|0|1000
HCM.20.01|output|QD05 THEMATIC|D-AGR|ratio|1|0|100
HCM.20.02|output|QD05 THEMATIC|D-CON|last|1|0|100
HCM.20.03|impact|THEMATIC|D-AGR|published|1|0|500
HCM.X1.01|process|GOV|D-PAS|ratio|2|0|100
HCM.X1.02|process|GOV|D-PAS|ratio|2|0|100
HCM.X1.03|process|GOV|D-PAS|ratio|2|0|100
HCM.X1.04|impact|GOV|D-PAS|ratio|2|0|100
HCM.X1.05|composite|GOV COMPOSITE|D-PAS|published|2|0|100
HCM.X2.01|input|THEMATIC|D-DTC|sum|0|0|200000
HCM.X2.02|process|THEMATIC|D-DTC|ratio|2|0|100
HCM.X2.03|impact|THEMATIC|D-DTC|ratio|2|0|100
HCM.X2.04|process|THEMATIC|D-DTC|published|1|0|1440
HCM.X2.05|impact|THEMATIC|D-DTC|ratio|2|0|100
HCM.X3.01|composite|COMPOSITE LONG|D-SCI|published|1|0|1000
HCM.X3.02|composite|COMPOSITE|D-FIN|published|2|0|100
HCM.X3.03|composite|COMPOSITE LONG|D-HOM|published|2|0|100
HCM.X3.04|composite|COMPOSITE|D-HOM|published|2|10|80
HCM.X4.01|process|GOV|D-OFF|ratio|2|0|100
HCM.X4.02|process|GOV|D-OFF|last|0|0|5000
HCM.X4.03|process|THEMATIC|D-OFF|ratio|2|0|100
"""


PROPOSED = "Đề xuất của bản trình diễn"
EVIDENCE = {
    "general knowledge": "Thông lệ thống kê",
    "proposal of this report": PROPOSED,
    "derived from seed 002": PROPOSED,
    "seen: 1022 rule of 5 minutes (2020)": "Quy định chuyển phản ánh trong 5 phút của Tổng đài 1022 (2020)",
    "seen: DTI 2024; HCMC unit DTI 2025": "Bộ chỉ số chuyển đổi số DTI 2024; DTI các đơn vị TP.HCM 2025",
    "seen: Government Office task statistics": "Văn phòng Chính phủ, thống kê nhiệm vụ được giao",
    "seen: HCMC 2020-25 targets": "Chỉ tiêu giai đoạn 2020-2025 của TP.HCM",
    "seen: HCMC 2020-25 targets; NĐ 62/2024 calendar": "Chỉ tiêu giai đoạn 2020-2025 của TP.HCM; lịch phổ biến theo Nghị định 62/2024/NĐ-CP",
    "seen: HCMC 2024-2025 reports": "Báo cáo kinh tế - xã hội TP.HCM 2024-2025",
    "seen: HCMC 2025 (2.74 million billion)": "Báo cáo kinh tế - xã hội TP.HCM 2025 (2,74 triệu tỷ đồng)",
    "seen: HCMC 2025 (260,000)": "Báo cáo kinh tế - xã hội TP.HCM 2025 (260.000)",
    "seen: HCMC 2025 (8.16 billion USD)": "Báo cáo kinh tế - xã hội TP.HCM 2025 (8,16 tỷ USD)",
    "seen: HCMC 2025 (above 2.149 million billion)": "Báo cáo kinh tế - xã hội TP.HCM 2025 (trên 2,149 triệu tỷ đồng)",
    "seen: HCMC 2025 council debate (target missed)": "Kỳ họp HĐND TP.HCM 2025 (không đạt chỉ tiêu)",
    "seen: HCMC 2025 report (59,750)": "Báo cáo kinh tế - xã hội TP.HCM 2025 (59.750)",
    "seen: HCMC 2025-30 targets": "Chỉ tiêu giai đoạn 2025-2030 của TP.HCM",
    "seen: HCMC 2025-30 targets (38-50%)": "Chỉ tiêu giai đoạn 2025-2030 của TP.HCM (38-50%)",
    "seen: HCMC 2026 plan (7.5%)": "Kế hoạch 2026 của TP.HCM (7,5%)",
    "seen: HCMC 2026 plan (9,800 USD)": "Kế hoạch 2026 của TP.HCM (9.800 USD)",
    "seen: HCMC 2026 plan (about 30%)": "Kế hoạch 2026 của TP.HCM (khoảng 30%)",
    "seen: HCMC 2026 plan (about 60%)": "Kế hoạch 2026 của TP.HCM (khoảng 60%)",
    "seen: HCMC 2026 scenario (above 3%)": "Kịch bản tăng trưởng 2026 của TP.HCM (trên 3%)",
    "seen: HCMC 8-month 2024": "Báo cáo kinh tế - xã hội TP.HCM 8 tháng 2024",
    "seen: HCMC 9-month 2025 (465,048)": "Báo cáo kinh tế - xã hội TP.HCM 9 tháng 2025 (465.048)",
    "seen: HCMC 9/2025 (13,400)": "Báo cáo của TP.HCM tháng 9/2025 (13.400)",
    "seen: HCMC 9/2025 (93.77%)": "Báo cáo của TP.HCM tháng 9/2025 (93,77%)",
    "seen: HCMC DDCI 2023": "Bộ chỉ số DDCI TP.HCM 2023",
    "seen: HCMC H1 2025 (30.7% of city plan, 39.2% of PM plan)":
        "Báo cáo kinh tế - xã hội TP.HCM 6 tháng đầu năm 2025 (30,7% kế hoạch thành phố giao, 39,2% kế hoạch Thủ tướng giao)",
    "seen: HCMC H1 2025 (46,686)": "Báo cáo kinh tế - xã hội TP.HCM 6 tháng đầu năm 2025 (46.686)",
    "seen: HCMC H1 2025 (7.49% against 6.56%)": "Báo cáo kinh tế - xã hội TP.HCM 6 tháng đầu năm 2025 (7,49% so với 6,56%)",
    "seen: HCMC monthly reports": "Báo cáo kinh tế - xã hội hằng tháng của TP.HCM",
    "seen: HCMC reports": "Báo cáo kinh tế - xã hội của TP.HCM",
    "seen: HCMC targets (300)": "Chỉ tiêu của TP.HCM (300)",
    "seen: NĐ 62/2024 and NĐ 13/2026 calendars": "Lịch phổ biến theo Nghị định 62/2024/NĐ-CP và 13/2026/NĐ-CP",
    "seen: QĐ 05/2023 list": "Danh mục của Quyết định 05/2023/QĐ-TTg",
    "seen: QĐ 05/2023 list (Hà Nam justice dept)": "Danh mục của Quyết định 05/2023/QĐ-TTg (theo Sở Tư pháp Hà Nam)",
    "seen: QĐ 05/2023 list; HCMC 2020-25 targets (floor 1.4)":
        "Danh mục của Quyết định 05/2023/QĐ-TTg; chỉ tiêu giai đoạn 2020-2025 của TP.HCM (tối thiểu 1,4)",
    "seen: QĐ 05/2023 method note; HCMC 2025 8.03%": "Phương pháp tính theo Quyết định 05/2023/QĐ-TTg; TP.HCM 2025: 8,03%",
    "seen: QĐ 766/QĐ-TTg": "Quyết định 766/QĐ-TTg",
    "seen: QĐ 766/QĐ-TTg (18+20+22+22+18)": "Quyết định 766/QĐ-TTg (18+20+22+22+18)",
    "seen: QĐ 766/QĐ-TTg group": "Nhóm chỉ số của Quyết định 766/QĐ-TTg",
    "seen: QĐ 876/QĐ-BNV cited in a provincial decision": "Quyết định 876/QĐ-BNV, dẫn trong quyết định của một tỉnh",
    "seen: press on HCMC PAPI 2020-21": "Báo chí về PAPI TP.HCM 2020-2021",
}


class Indicator:
    def __init__(self, row, judgement):
        self.__dict__.update(row)
        self.code, self.kind, groups, self.owner, self.rule, decimals, self.low, self.high = judgement.split("|")
        self.groups, self.decimals = groups.replace(" ", "|"), int(decimals)

    def text(self, value):
        if self.high == "100":      # a rate
            value = min(max(value, 0), 100)
        return f"{value:.{self.decimals}f}"


def load_indicators(sources):
    catalogue = {r["code"]: r for r in rows(sources / "catalogue/indicators.csv")}
    found = [Indicator(catalogue.pop(j.split("|")[0]), j) for j in JUDGEMENTS.strip().splitlines()]
    assert not catalogue, catalogue
    return {i.code: i for i in found}


# Nobody reports it: how many per cent of all revenue is domestic.
SHARE = "HCM.06.05"
SHARE_OF = ("HCM.06.02", "HCM.06.01")


def write_indicators(indicators):
    part = indicators[SHARE_OF[0]]
    share = (SHARE, "Tỷ trọng thu nội địa trong tổng thu ngân sách trên địa bàn", "Domestic share of state budget revenue in the area",
             part.domain_code, part.domain_vi, part.domain_en, "%", "%", "month", "up", "none", "", "yes", "ratio", "output", "SECTOR", "D-FIN", 2, 0, 100,
             PROPOSED, *SHARE_OF, "100")
    write("indicators.csv", "code,name_vi,name_en,field_code,field_vi,field_en,unit_vi,unit_code,frequency,direction,aggregation,"
          "weight,cumulative,ytd_rule,kind,groups,owner_key,decimals,min,max,source,numerator,denominator,factor", [share] +
          [(i.code, i.name_vi, i.name_en, i.domain_code, i.domain_vi, i.domain_en, i.unit_vi, i.unit_code, i.frequency, i.direction,
            i.aggregation, i.weight, i.cumulative, i.rule, i.kind, i.groups, i.owner, i.decimals, i.low, i.high, EVIDENCE[i.evidence], "", "", "")
           for i in indicators.values()])


# ---- observations: printed figures -----------------------------------------------------------

# What a printed series is in the catalogue: (indicator, measure, factor, offset)
PRINTED_LEVELS = {
    ("grdp", "level_current"): ("HCM.05.03", 1, 0), ("retail_total", "level"): ("HCM.10.01", 1, 0),
    ("retail_total", "level_text"): ("HCM.10.01", 1, 0), ("budget_revenue", "level"): ("HCM.06.01", 1, 0),
    ("budget_revenue", "level_text"): ("HCM.06.01", 1, 0), ("domestic_revenue", "level"): ("HCM.06.02", 1, 0),
    ("customs_revenue", "level"): ("HCM.06.03", 1, 0), ("local_expenditure", "level"): ("HCM.06.04", 1, 0),
    ("total_investment", "level"): ("HCM.04.01", 1, 0), ("exports", "level"): ("HCM.10.02", 1000, 0),
    ("tourism_revenue", "level"): ("HCM.17.02", 1, 0), ("international_visitors", "level"): ("HCM.17.01", 1, 0),
    ("new_enterprises", "level"): ("HCM.03.01", 1, 0), ("new_enterprise_capital", "level"): ("HCM.03.02", 1, 0),
    ("jobs_new", "level"): ("HCM.02.01", 1, 0), ("urban_unemployment", "level"): ("HCM.02.02", 1, 0),
    ("requests_total", "level"): ("HCM.X2.01", 1, 0),
}
PRINTED_TO_DATE = {     # running totals and published year-to-date rates
    ("public_investment_disbursed", "level"): ("HCM.04.03", 1, 0), ("public_investment", "level"): ("HCM.04.03", 1, 0),
    ("public_investment_disbursed", "pct_of_plan"): ("HCM.04.04", 1, 0), ("public_investment", "pct_of_plan"): ("HCM.04.04", 1, 0),
    ("grdp", "yoy_pct"): ("HCM.05.01", 1, 0), ("iip", "yoy_pct"): ("HCM.09.01", 1, 100), ("on_time_rate", "level"): ("HCM.X2.02", 1, 0),
}
OUTLETS = {"congthuong (mirror)": "congthuong.vn (bản đăng lại)", "elmit mirror of news": "elmit (đăng lại tin)", "baomoi": "Báo Mới",
           "thuvienphapluat (BC 783/BC-CTK)": "Cục Thống kê TP.HCM, Báo cáo 783/BC-CTK (thuvienphapluat.vn)"}
AREAS = {"HCMC(old)": "TP.HCM trước 01/7/2025", "HCMC(merged)": "TP.HCM sau sáp nhập"}


def period_end(code):
    year = int(code[:4])
    month = {"": 12, "H": int(code[-1] or 0) * 6, "Q": int(code[-1] or 0) * 3}.get(code[5:6]) or int(code[5:7])
    return date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)


def day_vi(printed):
    """"2024-01-31" as people write it; a month or a year alone too."""
    return "/".join(reversed(printed.split("-")))


def known(printed):
    """The day a figure was printed; the last day where only the month or the year is given."""
    parts = [int(p) for p in printed.split("-")]
    day = date(*parts) if len(parts) == 3 else period_end(printed)
    return f"{day}T02:00:00Z"


def printed_vintage(period, when):
    days = (date.fromisoformat(when[:10]) - period_end(period)).days
    return "estimate" if days <= 45 else "preliminary" if days <= 400 else "official"


def to_date_period(indicator, fact):
    """The period whose year-to-date value a printed figure is, or None."""
    period, kind = fact["period"], fact["period_type"]
    if kind == "year":
        return period
    if kind == "half":
        return period[:4] + "-Q2" if period.endswith("H1") else None
    if kind == "quarter":
        return period if period.endswith("Q1") else None    # from the second quarter on it is the quarter's own growth
    if kind != "ytd" or not period[:7].endswith("-01"):
        return None
    end = period.split("..")[1]
    if len(end) > 7 and indicator.domain_code != "X2":      # a date inside the month, not a month
        return None
    month = int(end[5:7])
    if indicator.frequency == "month":
        return end[:7]
    return f"{end[:4]}-Q{month // 3}" if month % 3 == 0 else None


def own_period(fact):
    """The calendar period whose own amount a printed figure is, or None."""
    period, kind = fact["period"], fact["period_type"]
    if kind in ("month", "quarter", "half", "year"):
        return period.split("..")[-1][:7]
    year, months = period[:4], re.sub(r"\d{4}-", "", period)
    return {"01..03": f"{year}-Q1", "01..06": f"{year}-H1"}.get(months) if kind == "ytd" else None


def printed_observations(sources, indicators):
    facts = rows(sources / "indicators/hcmc_published_facts_2015-2024.csv") + rows(sources / "feedback/hcmc_1022_published_totals.csv")
    out, left = [], Counter()
    for f in facts:
        series = (f["indicator"], f["measure"])
        level, to_date = PRINTED_LEVELS.get(series), PRINTED_TO_DATE.get(series)
        if not level and not to_date:
            left["no such indicator or measure in the catalogue"] += 1
            continue
        code, factor, offset = level or to_date
        period = own_period(f) if level else to_date_period(indicators[code], f)
        if not period:
            left["year-to-date amount, or a date inside a month" if level else "a period's own rate where the rate to date is kept, or a date inside a month"] += 1
            continue
        when = known(f["published"])
        source = f"{OUTLETS.get(f['outlet'], f['outlet'])}, {day_vi(f['published'])}; phạm vi: {AREAS[f['area_basis']]}"
        if f["measure"] == "level_text":
            source += "; báo ghi 'hơn'"
        if ".." in f["period"] and len(f["period"].split("..")[1]) > 7:
            source += f"; số của kỳ {' - '.join(map(day_vi, f['period'].split('..')))}"
        value = indicators[code].text(float(f["value"]) * factor + offset)
        out.append((code, CITY, period, printed_vintage(period, when), value, when, source, 0))
    # The same figure printed again later is no revision; of two printed on one day the later line stands.
    kept, last = {}, {}
    for o in sorted(out, key=lambda o: o[5]):
        same = o[:4]
        if last.get(o[:3]) == o[4]:
            left["the same value printed again"] += 1
            continue
        if (*same, o[5]) in kept:
            left["another value of the same day and round"] += 1
            continue
        kept[(*same, o[5])] = o
        last[o[:3]] = o[4]
    print(f"  printed figures: {len(facts)} read, {len(kept)} used, left out: {dict(left)}")
    return list(kept.values())


def national_observations(sources, indicators):
    """Series of the national data portal in its two snapshots; the second is kept where it is new or differs."""
    wanted = {("TXG_FOB_USD", "M"), ("NGDP_PA_XDC", "Q"), ("NGDP_R_PA_XDC", "Q"), ("LP_PE_NUM", "A"), ("NGDPVA_R_ISIC4_A_XDC", "A")}
    snapshots = {"2024-11": "2024-11-13T02:00:00Z", "2025-06": "2025-06-30T02:00:00Z"}
    offices = {"2024-11": "Tổng cục Thống kê", "2025-06": "Cục Thống kê, Bộ Tài chính"}
    data = defaultdict(dict)
    for r in rows(sources / "indicators/vietnam_national_vintages.csv.gz"):
        if (r["indicator"], r["freq"]) in wanted:
            data[r["indicator"], r["vintage"]][r["period"]] = float(r["value"])
    found = defaultdict(dict)
    for (series, vintage), values in data.items():
        for period, value in values.items():
            year = int(period[:4])
            if year < 2015:
                continue
            if series == "TXG_FOB_USD":
                found["HCM.10.02", period, series][vintage] = value
            elif series == "NGDP_PA_XDC":
                found["HCM.05.03", period, series][vintage] = value
            elif series == "LP_PE_NUM":
                found["HCM.01.01", period, series][vintage] = value
            elif series == "NGDPVA_R_ISIC4_A_XDC" and str(year - 1) in values:
                found["HCM.08.01", period, series][vintage] = (value / values[str(year - 1)] - 1) * 100
            elif series == "NGDP_R_PA_XDC":
                quarters = range(1, int(period[-1]) + 1)
                now = [values.get(f"{year}-Q{q}") for q in quarters]
                then = [values.get(f"{year - 1}-Q{q}") for q in quarters]
                if all(now) and all(then):
                    found["HCM.05.01", period, series][vintage] = (sum(now) / sum(then) - 1) * 100
    out = []
    for (code, period, series), by in sorted(found.items()):
        last = None
        for vintage in ("2024-11", "2025-06"):
            if vintage not in by:
                continue
            value = f"{by[vintage]:.{indicators[code].decimals}f}"
            if value != last:
                round_ = "official" if period_end(period).year < 2023 else "preliminary"
                how = "tính từ " if series in ("NGDP_R_PA_XDC", "NGDPVA_R_ISIC4_A_XDC") else ""
                out.append((code, NATION, period, round_, value, snapshots[vintage], f"{offices[vintage]}, Trang số liệu tóm tắt quốc gia (NSDP), {how}{series}, bản {day_vi(vintage)}; phạm vi: cả nước", 0))
            last = value
    return out


# ---- observations: made-up series ------------------------------------------------------------

YEARS = range(2021, LAST_YEAR + 1)
TET = {2021: 2, 2022: 2, 2023: 1, 2024: 2, 2025: 1, 2026: 2, 2027: 2}
SHAPES = {
    "flat": [1] * 12,
    "trade": [0.98, 0.97, 0.98, 0.98, 0.99, 0.99, 1, 1, 1, 1.02, 1.03, 1.06],
    "yearend": [0.45, 0.5, 0.75, 0.8, 0.85, 1, 0.95, 1, 1.1, 1.15, 1.35, 2.1],
    "budget": [1.35, 0.85, 1.05, 1.1, 0.95, 0.9, 1, 0.9, 0.9, 1.05, 0.95, 1],
    "tourism": [1.12, 1.1, 1.05, 0.97, 0.9, 0.92, 0.95, 0.95, 0.92, 0.98, 1.05, 1.15],
    "dengue": [0.8, 0.5, 0.45, 0.4, 0.55, 0.9, 1.25, 1.4, 1.45, 1.55, 1.5, 1.25],
    "school": [0.95, 0.95, 1.05, 1.05, 1.05, 0.95, 0.9, 0.95, 1.05, 1.05, 1.05, 1],
}
# Amounts of the period: yearly totals 2021..2027, shape, noise, effect of Tết, lowest factor of the pandemic summer of 2021
FLOWS = {
    "HCM.02.01": ([170e3, 200e3, 205e3, 212e3, 220e3, 226e3, 232e3], "flat", 0.04, 0.85, 0.5),
    "HCM.03.01": ([38e3, 44e3, 50.5e3, 54e3, 59750, 64e3, 68e3], "flat", 0.05, 0.7, 0.4),
    "HCM.03.02": ([510e3, 560e3, 520e3, 570e3, 640e3, 690e3, 735e3], "flat", 0.1, 0.75, 0.45),
    "HCM.03.03": ([22e3, 26e3, 31e3, 34e3, 36.5e3, 40.5e3, 42e3], "flat", 0.06, 1.25, 1.2),
    "HCM.04.01": ([430e3, 470e3, 520e3, 580e3, 690e3, 790e3, 890e3], "yearend", 0.02, 1, 0.6),
    "HCM.04.05": ([5400, 6200, 6900, 7200, 8160, 8700, 9300], "flat", 0.16, 0.8, 0.7),
    "HCM.04.06": ([600, 900, 1800, 2600, 5200, 7000, 9500], "yearend", 0.1, 1, 0.4),
    "HCM.05.03": ([2.05e6, 2.27e6, 2.39e6, 2.53e6, 2.74e6, 3.02e6, 3.33e6], "trade", 0.008, 1, 0.72),
    "HCM.06.01": ([530e3, 640e3, 600e3, 660e3, 747e3, 800e3, 858e3], "budget", 0.035, 0.9, 0.7),
    "HCM.06.02": ([350e3, 430e3, 425e3, 478e3, 550e3, 592e3, 640e3], "budget", 0.035, 0.9, 0.68),
    "HCM.06.03": ([155e3, 180e3, 150e3, 158e3, 172e3, 182e3, 190e3], "flat", 0.03, 0.8, 0.75),
    "HCM.06.04": ([105e3, 110e3, 135e3, 140e3, 190e3, 225e3, 250e3], "yearend", 0.05, 0.9, 0.9),
    "HCM.10.01": ([1.21e6, 1.54e6, 1.69e6, 1.89e6, 2.149e6, 2.4e6, 2.68e6], "trade", 0.012, 1.03, 0.42),
    "HCM.10.02": ([78e3, 86e3, 77e3, 84.5e3, 93e3, 101e3, 109e3], "trade", 0.03, 0.82, 0.7),
    "HCM.12.01": ([150e6, 230e6, 320e6, 373e6, 420e6, 440e6, 470e6], "school", 0.03, 0.85, 0.05),
    "HCM.16.04": ([12e3, 82e3, 18.5e3, 17.2e3, 42e3, 34e3, 29e3], "dengue", 0.12, 1, 0.8),
    "HCM.17.01": ([0.2e6, 3.5e6, 5.2e6, 6.3e6, 8.5e6, 9.6e6, 10.6e6], "tourism", 0.04, 1.05, 0.1),
    "HCM.17.02": ([44e3, 131e3, 172e3, 204e3, 260e3, 305e3, 345e3], "tourism", 0.04, 1.12, 0.05),
    "HCM.19.01": ([2600, 2450, 2900, 2700, 2450, 2280, 2120], "flat", 0.06, 1.1, 0.4),
    "HCM.19.02": ([780, 850, 980, 930, 860, 820, 780], "flat", 0.08, 1.15, 0.4),
}
# Rates: own rate at the end of 2020, then of 2021..2027; noise in points; what is kept is the rate of the year so far
RATES = {
    "HCM.13.01": ([62, 71, 78, 84, 89, 92.5, 94, 95.5], 0.5), "HCM.20.01": ([28, 31, 33, 36, 39, 43, 47, 52], 0.5),
    "HCM.X1.01": ([96.4, 96.6, 97.2, 97.8, 98.3, 97.6, 98.6, 98.8], 0.3), "HCM.X1.02": ([18, 30, 42, 54, 63, 72, 81, 87], 0.9),
    "HCM.X1.03": ([10, 22, 36, 48, 60, 73, 84, 91], 0.9), "HCM.X1.04": ([91, 92.4, 93.5, 94.6, 95.5, 95.1, 96.6, 97.2], 0.3),
    "HCM.X1.05": ([66, 69, 72, 75.5, 79, 81, 85, 88], 0.4), "HCM.X2.02": ([92, 93, 94.5, 96.3, 98.6, 96, 96.8, 97.4], 0.3),
    "HCM.X2.03": ([7.5, 7.2, 6.8, 6.4, 6, 5.6, 5.3, 5], 0.25), "HCM.X2.04": ([14, 11, 9, 7.5, 6, 5.8, 4.2, 3.6], 0.3),
    "HCM.X2.05": ([76, 78, 80, 82, 84, 85, 88, 89.5], 0.7), "HCM.X4.01": ([78, 81, 84, 87, 89.5, 91, 93, 94.5], 0.6),
    "HCM.X4.03": ([82, 84, 85, 86, 87, 89, 92, 93.5], 0.8), "HCM.20.03": ([24, 22, 23.5, 24.5, 24, 23, 22.4, 21.8], 0.9),
}
# Stocks: level at the end of 2020..2027, noise
STOCKS = {
    "HCM.02.03": ([35.2, 36.1, 37.4, 38.6, 39.9, 41.4, 43.2, 45.1], 0.15), "HCM.07.01": ([87.6, 88.4, 90.2, 91.8, 93.1, 94.4, 95.9, 97], 0.08),
    "HCM.20.02": ([21.5, 22, 23.6, 26.8, 31.2, 36.4, 41.5, 47.5], 0.3), "HCM.X4.02": ([150, 140, 118, 96, 74, 62, 55, 48], 4),
}
# Published rates of the year so far, written out: by quarter, or by the corners between which months are drawn
TO_DATE_QUARTERS = {
    "HCM.05.01": ["4.58 5.46 -4.92 -5.36", "1.88 3.82 9.71 9.03", "0.70 3.55 4.57 5.81", "6.79 6.46 6.85 7.17", "7.12 6.56 7.07 8.03", "8.21 8.47 8.63 8.8", "8.9 9.1 9.25 9.4"],
    "HCM.05.02": ["4.9 5.8 -4.7 -5.2", "2.1 4.2 10.1 9.5", "1.1 4.1 5.2 6.4", "7.2 7.0 7.4 7.7", "7.6 7.49 8.0 8.8", "9.05 9.42 9.7 9.95", "9.7 9.95 10.1 10.3"],
    "HCM.08.01": ["1.2 1.1 -3.0 -4.6", "0.6 1.2 1.8 2.1", "1.4 1.6 1.8 2.0", "1.9 2.1 2.2 2.4", "2.3 2.5 2.7 2.9", "3.1 3.25 3.3 3.35", "3.2 3.3 3.4 3.4"],
    "HCM.16.03": ["4 9 12 21", "7 16 25 34", "8 18 29 39", "9 20 33 45", "11 25 41 57", "13 29 46 62.5", "15 33 52 69"],
    "HCM.02.02": ["3.5 4.2 9.4 6.9", "4.3 4.1 3.95 3.9", "3.95 3.9 3.92 3.88", "3.6 3.5 3.45 3.4", "3.3 3.35 3.2 3.15", "3.1 3.05 2.98 2.95", "2.96 2.92 2.88 2.85"],
}
TO_DATE_MONTHS = {      # January, June, September, December
    "HCM.09.01": [(108, 105.9, 88.5, 85.7), (101.5, 103.8, 112.4, 113.4), (94, 101.9, 103.3, 104.6), (103.5, 105.6, 106.9, 107.3), (106.2, 107.1, 108.3, 109.1), (109.4, 109.9, 110.3, 110.6), (110.2, 110.8, 111.2, 111.5)],
    "HCM.11.01": [(100.4, 101.7, 102.3, 102.5), (101.6, 102.1, 102.5, 102.9), (104.6, 103.7, 103.4, 103.5), (103.4, 103.9, 103.6, 103.4), (103.4, 103.3, 103.2, 103.3), (103.1, 103.4, 103.6, 103.7), (103.6, 103.5, 103.4, 103.4)],
}
PLAN_CAPITAL = {2021: 52e3, 2022: 58e3, 2023: 95e3, 2024: 107e3, 2025: 152e3, 2026: 148e3, 2027: 165e3}
DISBURSED = {2021: 0.66, 2022: 0.70, 2023: 0.68, 2024: 0.76, 2025: 0.88, 2026: 0.79, 2027: 0.82}     # share by the end of the year
SLOW_START = {2024: 1.9}      # years that begin slower than PACE
PACE = [0.012, 0.03, 0.08, 0.13, 0.2, 0.349, 0.41, 0.48, 0.56, 0.65, 0.78, 1]
TICKETS = {2021: [4300] * 12, 2022: [3400] * 12, 2023: [2850] * 12, 2024: [2500] * 12,
           2025: [2200] * 6 + [2600, 4200, 13400, 14700, 13900, 12800], 2026: [12400, 9800] + [12900] * 10, 2027: [12700, 10400] + [13300] * 10}
STARTS = {"HCM.17.01": (2022, 4), "HCM.04.06": (2022, 1), "HCM.X1.05": (2023, 1), "HCM.X2.03": (2024, 1), "HCM.X2.05": (2024, 1), "HCM.X4.03": (2025, 1)}
GAPS = {"HCM.12.01": ["2021-07", "2021-08", "2021-09"], "HCM.20.03": ["2022-05", "2022-06", "2023-11", "2025-04"], "HCM.X4.02": ["2022-09", "2023-02"],
        "HCM.20.02": ["2022-Q2"]}
LATE = {"HCM.19.01", "HCM.X1.03"}       # reported a month late, always
# The demonstration's officers enter these themselves: nobody else knows a figure before the last day of the month after it.
ENTERED = {("HCM.03.01", CITY), ("HCM.04.03", CITY), ("HCM.04.04", CITY), ("HCM.X1.01", "26740"), ("HCM.X2.02", "26740")}
REVISED = {"HCM.04.01", "HCM.05.01", "HCM.05.02", "HCM.05.03", "HCM.06.01", "HCM.06.02", "HCM.06.03", "HCM.08.01", "HCM.09.01", "HCM.10.01", "HCM.10.02", "HCM.17.02"}
# Yearly figures 2021..2027
YEARLY = {
    "HCM.01.01": [13500, 13640, 13800, 13950, 14100, 14250, 14400], "HCM.01.02": [97.4, 98.1, 98.6, 98.9, 99.2, 99.4, 99.6],
    "HCM.01.03": [1.44, 1.42, 1.32, 1.39, 1.43, 1.46, 1.48], "HCM.02.04": [-3.9, 7.1, 4.2, 5.9, 6.6, 7.2, 7.7],
    "HCM.04.02": [21, 20.7, 21.8, 22.9, 25.2, 26.8, 28.1], "HCM.05.04": [6150, 6840, 7280, 7790, 8755, 9480, 10250],
    "HCM.05.05": [38, 55, 49, 53, 56, 57, 59], "HCM.05.06": [15.38, 18.66, 21.5, 23.6, 25.9, 28.1, 30.6],
    "HCM.14.01": [0.78, 0.84, 0.92, 1.1, 1.35, 1.62, 1.8], "HCM.15.01": [288, 291, 294, 296, 299, 301, 304],
    "HCM.15.02": [33.5, 35.8, 37.9, 40.2, 42.4, 44.8, 47.3], "HCM.16.01": [40.3, 40.9, 41.5, 42, 42.4, 42.9, 43.5],
    "HCM.16.02": [18.9, 19.6, 20.2, 20.9, 21.5, 22.1, 22.8], "HCM.18.01": [2.4, 1.92, 1.5, 1.12, 0.9, 0.68, 0.5],
    "HCM.X3.01": [652, 691, 718, 744, 771, 797, 824], "HCM.X3.02": [71.2, 72.4, 73.9, 75.1, 76.4, 77.9, 79.3],
    "HCM.X3.03": [83.94, 86.05, 86.97, 88.21, 89.13, 90.2, 91.1], "HCM.X3.04": [41.52, 42.06, 42.24, 42.98, 43.61, 44.2, 45],
}


def flow_months(code):
    """Own amounts by month: {(year, month): value}."""
    totals, shape, noise, tet, covid = FLOWS[code]
    r, out = rng(code), {}
    for y, total in zip(YEARS, totals):
        factors = list(SHAPES[shape])
        factors[TET[y] - 1] *= tet
        if y == 2021:
            for m, depth in ((6, 0.35), (7, 0.85), (8, 1), (9, 1), (10, 0.7), (11, 0.3)):
                factors[m - 1] *= 1 - (1 - covid) * depth
        growth = [1 + 0.003 * (m - 5.5) for m in range(12)]
        factors = [f * g for f, g in zip(factors, growth)]
        for m in range(12):
            out[y, m + 1] = total * factors[m] / sum(factors) * math.exp(r.gauss(0, noise))
    return out


def between(corners, month):
    """Straight lines through the values of January, June, September and December."""
    marks = (1, 6, 9, 12)
    for (m1, v1), (m2, v2) in zip(zip(marks, corners), list(zip(marks, corners))[1:]):
        if month <= m2:
            return v1 + (v2 - v1) * (month - m1) / (m2 - m1)
    raise ValueError(month)


def quarterly(values, how):
    out = {}
    for y, m in values:
        if m % 3 == 0:
            out[y, m] = how([values[y, k] for k in (m - 2, m - 1, m)])
    return out


def series(indicator):
    """The made-up history of one indicator: {(year, month of the period's end): value}."""
    code, r = indicator.code, rng(indicator.code)
    months = [(y, m) for y in YEARS for m in range(1, 13)]
    if code in FLOWS:
        out = flow_months(code)
        if indicator.frequency == "quarter":
            out = quarterly(out, sum)
    elif code == "HCM.X2.01":
        out = {(y, m): TICKETS[y][m - 1] * math.exp(r.gauss(0, 0.05)) for y, m in months}
    elif code in RATES:
        ends, noise = RATES[code]
        out, own = {}, {}
        for y, m in months:
            a, b = ends[y - 2021], ends[y - 2020]
            plain = a + (b - a) * m / 12
            if code == "HCM.20.03":         # dirty in the dry season
                plain += 6 * math.cos((m - 0.5) / 12 * 2 * math.pi)
            elif m == TET[y]:
                plain += (0.8 if indicator.direction == "down" else -0.8) * noise * 2
            own[y, m] = plain + r.gauss(0, noise)
            out[y, m] = sum(own[y, k] for k in range(1, m + 1)) / m
        if indicator.frequency == "quarter":
            out = quarterly(out, lambda three: three[-1])
    elif code in STOCKS:
        ends, noise = STOCKS[code]
        out = {}
        for y, m in months:
            plain = ends[y - 2021] + (ends[y - 2020] - ends[y - 2021]) * m / 12
            out[y, m] = plain + r.gauss(0, noise)
        if indicator.frequency == "quarter":
            out = quarterly(out, lambda three: three[-1])
    elif code in TO_DATE_QUARTERS:
        out = {(y, 3 * q): float(v) for y, line in zip(YEARS, TO_DATE_QUARTERS[code]) for q, v in enumerate(line.split(), 1)}
    elif code in TO_DATE_MONTHS:
        out = {}
        for y, corners in zip(YEARS, TO_DATE_MONTHS[code]):
            for m in range(1, 13):
                out[y, m] = between(corners, m) + (r.gauss(0, 0.12) if m not in (6, 9, 12) else 0)
    elif code in ("HCM.04.03", "HCM.04.04"):
        r, out = rng("HCM.04.03"), {}
        for y in YEARS:
            slow, spent = SLOW_START.get(y, 1), [0]
            parts = [(now ** slow - before ** slow) * math.exp(r.gauss(0, 0.06)) for before, now in zip([0] + PACE, PACE)]
            for half in (parts[:6], parts[6:]):     # both end as they were published
                start, end = spent[-1], PACE[len(spent) + 4] ** slow
                spent += [start + (end - start) * sum(half[:n]) / sum(half) for n in range(1, 7)]
            capital = PLAN_CAPITAL[y] if code == "HCM.04.03" else 100
            out.update({(y, m): capital * DISBURSED[y] * spent[m] for m in range(1, 13)})
    else:
        raise KeyError(code)
    return out


def period_code(frequency, year, month):
    return {"month": f"{year}-{month:02d}", "quarter": f"{year}-Q{month // 3}", "year": str(year)}[frequency]


# From which to which day after the period's end a figure comes in: the last is the day it is due
REPORTED = {"month": (2, 5), "quarter": (4, 10), "year": (20, 31)}
DAYS_TO_OFFICIAL = 76
DAYS_OF_ESTIMATE = -2           # before the end of the period


def utc(day, hour, minute=0):
    """A moment of the city's clock."""
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=LOCAL).astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def holidays():
    """The days off that the services themselves know."""
    table = HERE.parents[1] / "chassis/migrations/20260103000000_create_holiday.sql"
    return {date.fromisoformat(day) for day in re.findall(r"^ *\('([0-9-]+)'", table.read_text("utf-8"), re.M)}


def after(period, days):
    return utc(period_end(period) + timedelta(days=days), 9)


def reporting(indicator, unit, period, late, off):
    """When a figure of a period is first reported: in working hours of a working day before it is due, if there is one."""
    r, end = rng("reported", indicator.code, unit, period), period_end(period)
    if (indicator.code, unit) in ENTERED:
        return utc(month_after(end), 17)
    first, last = REPORTED[indicator.frequency]
    days = [(month_after(end) if late else end) + timedelta(days=n) for n in range(first, last + 1)]
    open_days = [d for d in days if d.weekday() < 5 and d not in off]
    return utc(r.choice(open_days or days), r.randrange(8, 17), r.randrange(60))


def month_after(end):
    """The last day of the month after the one that ends with this day."""
    return period_end(f"{end + timedelta(days=1)}"[:7])


def made_up_observations(indicators, printed):
    """The city's history from 2021 on. A printed rate stands; a printed amount is of the old area and is followed by a back-cast."""
    rates_printed = {o[:3] for o in printed if indicators[o[0]].rule in ("published", "ratio") or AREAS["HCMC(merged)"] in o[6]}
    out, off = [], holidays()
    for i in indicators.values():
        r = rng("rounds", i.code)

        def add(period, vintage, value, when, source):
            out.append((i.code, CITY, period, vintage, i.text(value), when, source, 1))

        if i.frequency == "year":
            for period, v in zip(map(str, YEARS), YEARLY[i.code]):
                source = f"{MADE_UP}, số năm của TP.HCM sau sáp nhập" + (", tính ngược về trước" if period < "2025" else "")
                add(period, "preliminary", v * (1 + r.gauss(0, 0.004)), reporting(i, CITY, period, False, off), source)
                add(period, "official", v, after(period, DAYS_TO_OFFICIAL), source)
            continue
        for (y, m), value in sorted(series(i).items()):
            period = period_code(i.frequency, y, m)
            if (y, m) < STARTS.get(i.code, (2021, 1)) or period in GAPS.get(i.code, ()) or (i.code, CITY, period) in rates_printed:
                continue
            source = f"{MADE_UP}, xu thế, mùa vụ và dao động theo tổng số đã công bố; phạm vi: TP.HCM sau sáp nhập" + (", tính ngược về trước" if (y, m) < (2025, 7) else "")
            size, closer = 0.15 if i.rule == "published" else abs(value) * 0.012, value
            reported = reporting(i, CITY, period, i.code in LATE, off)
            if y < 2025:
                add(period, "official", value, reported, source)
                continue
            if i.code in REVISED:
                guess, closer = value + r.gauss(0, size), value + r.gauss(0, size / 3)
                add(period, "estimate", guess, after(period, DAYS_OF_ESTIMATE), source)
            add(period, "preliminary", closer, reported, source)
            add(period, "official", value, after(period, DAYS_TO_OFFICIAL), source)
    return out


WARD_RATES = {"HCM.X1.01": (97.9, 1.1, 0.5), "HCM.X2.02": (95.2, 2.2, 0.9)}     # mean over wards, spread between them, noise of a month
WARD_LATE = {"HCM.X1.01": 5, "HCM.X2.02": 7}                                    # so many wards report a month late, always


def ward_history(indicator, ward):
    """Monthly year-to-date rates of a ward from July 2025 on."""
    mean, spread, noise = WARD_RATES[indicator.code]
    r = rng(indicator.code, ward)
    base = min(mean + r.gauss(0, spread), 99.6)
    own, out = defaultdict(list), {}
    for y, m in [(2025, k) for k in range(7, 13)] + [(y, k) for y in range(2026, LAST_YEAR + 1) for k in range(1, 13)]:
        settling = -2.5 * noise * max(0, 10 - m) / 3 if y == 2025 else 0.06 * min((y - 2026) * 12 + m, 12)  # the first months after the reform are hard
        own[y].append(min(base + settling + r.gauss(0, noise), 100))
        out[y, m] = sum(own[y]) / len(own[y])
    return out


def ward_observations(indicators, wards):
    """A ward's rate of the year so far is preliminary until the year's own is official."""
    out, off = [], holidays()
    for code in WARD_RATES:
        i, others = indicators[code], [w for w in sorted(wards) if (code, w) not in ENTERED]
        late = set(rng("late", code).sample(others, WARD_LATE[code]))
        for ward in sorted(wards):
            for (y, m), value in ward_history(i, ward).items():
                period, source = period_code("month", y, m), f"{MADE_UP}, tỷ lệ lũy kế từ đầu năm"
                out.append((code, ward, period, "preliminary", i.text(value), reporting(i, ward, period, ward in late, off), source, 1))
                if m == 12:
                    out.append((code, ward, period, "official", i.text(value), after(period, DAYS_TO_OFFICIAL), source, 1))
    return out


WARD_FLOWS = ["HCM.03.03"]                                                      # amounts that are counted ward by ward


def ward_shares(code, wards):
    """A ward's usual share of the city's amount."""
    weights = {ward: rng("share", code, ward).lognormvariate(0, 0.8) for ward in sorted(wards)}
    total = sum(weights.values())
    return {ward: weight / total for ward, weight in weights.items()}


def divide(amount, weights):
    """Whole numbers in proportion to weights that add up to the amount."""
    total = sum(weights.values())
    exact = {ward: amount * weight / total for ward, weight in weights.items()}
    out = {ward: math.floor(x) for ward, x in exact.items()}
    for ward in sorted(exact, key=lambda w: (out[w] - exact[w], w))[:amount - sum(out.values())]:
        out[ward] += 1
    return out


def ward_flows(city, wards):
    """The city's figures since the reform, divided among the wards: they add up to them, version by version."""
    out = []
    for code, unit, period, vintage, value, when, _, _ in city:
        if code in WARD_FLOWS and unit == CITY and period >= "2025-07":
            month = {w: share * math.exp(rng("flow", code, w, period).gauss(0, 0.2)) for w, share in ward_shares(code, wards).items()}
            for ward, part in divide(int(value), month).items():
                out.append((code, ward, period, vintage, str(part), when, f"{MADE_UP}, phần của phường, xã trong số toàn thành phố", 1))
    return out


# ---- targets ---------------------------------------------------------------------------------

# What the city plans for 2026 and 2027, for what is reported within the year. r, o, g: what the forecasting service makes
# of it from the figures to October: red (it is met with a chance below 0.35), orange, green (above 0.75). Two months before its
# end the service knows a year's flow to 1 to 3 % (one standard deviation), a rate to 0.2 to 1 %; growth, disbursement and dengue
# less well. An orange plan lies within two thirds of that from the middle of its range, a red or green one at the edge or
# beyond, where the year really ends on the wrong or the right side. Whoever changes a series has to look at its plans again.
PLANS = """
HCM.02.01|224000 o|229000 o
HCM.02.02|3.6 g|3.4 g
HCM.02.03|42.5 g|44.3 g
HCM.03.01|62000 g|65000 g
HCM.03.02|690000 o|750000 o
HCM.03.03|39500 r|42500 r
HCM.04.01|790000 o|890000 o
HCM.04.03|140600 r|156750 r
HCM.04.04|95 r|95 r
HCM.04.05|8500 g|8800 g
HCM.04.06|8000 r|10500 r
HCM.05.01|10 r|10.5 r
HCM.05.02|10 o|10.5 o
HCM.05.03|2980000 o|3290000 o
HCM.06.01|790000 g|840000 g
HCM.06.02|575000 g|618000 g
HCM.06.03|176000 g|177000 g
HCM.06.04|220000..242000 g|226000..262000 g
HCM.07.01|95.5 g|96.7 g
HCM.08.01|3 o|3.3 o
HCM.09.01|110.5 o|111 o
HCM.10.01|2395000 o|2680000 o
HCM.10.02|97000 g|103000 g
HCM.11.01|102..104.5 g|102..104.5 g
HCM.12.01|460000000 r|485000000 r
HCM.13.01|95 r|96.5 r
HCM.16.03|66 r|75 r
HCM.16.04|38000 g|33000 g
HCM.17.01|9600000 o|10800000 o
HCM.17.02|295000 g|312000 g
HCM.19.01|2450 o|2200 g
HCM.19.02|780 r|730 r
HCM.20.01|46.5 r|51 r
HCM.20.02|40 g|45.5 g
HCM.20.03|23 o|22.5 o
HCM.X1.01|98 o|98.75 o
HCM.X1.02|80 r|87 r
HCM.X1.03|77.5 o|87.3 g
HCM.X1.04|95.3 g|96.2 g
HCM.X1.05|82.95 o|86.7 o
HCM.X2.02|96.5 o|97 o
HCM.X2.03|5.2 r|5 r
HCM.X2.04|5.2 g|4.1 g
HCM.X2.05|86 g|87.8 g
HCM.X4.01|91.5 g|93.2 g
HCM.X4.02|45 r|38 r
HCM.X4.03|90 g|91.2 g
"""
YEARLY_PLANS = {        # 2026, 2027
    "HCM.01.02": (99.5, 99.7), "HCM.01.03": (1.45, 1.48), "HCM.02.04": (7.5, 8), "HCM.04.02": (30, 30.5), "HCM.05.04": (9800, 10600),
    "HCM.05.05": (60, 60), "HCM.05.06": (30, 32), "HCM.14.01": (1.6, 1.8), "HCM.15.01": (300, 303), "HCM.15.02": (45, 47.5),
    "HCM.16.01": (43, 43.5), "HCM.16.02": (22, 22.7), "HCM.18.01": (0.7, 0.5), "HCM.X3.01": (800, 830), "HCM.X3.02": (78, 79),
    "HCM.X3.03": (90, 91), "HCM.X3.04": (44.5, 45.5),
}
# Of 2025, as cities plan growth: not by what they had.
GROWTH_PLANS = {"HCM.05.01": (8.5, None), "HCM.05.02": (9.2, None), "HCM.11.01": (102, 104.5)}
# Named in the city's plan for 2026 as published
PRINTED_PLANS = {"HCM.05.01": "trên 10%", "HCM.02.04": "7,5%", "HCM.04.02": "khoảng 30%", "HCM.05.04": "9.800 USD", "HCM.05.05": "khoảng 60%",
                 "HCM.05.06": "khoảng 30%", "HCM.08.01": "kịch bản trên 3%"}
# A second author, or a stretch, relative to the city's base target: indicator, author, kind, factor
MORE_PLANS = [("HCM.04.03", "government", "base", 0.93), ("HCM.06.01", "government", "base", 0.95), ("HCM.06.02", "government", "base", 0.95),
              ("HCM.06.03", "government", "base", 0.97), ("HCM.10.02", "government", "base", 0.97), ("HCM.X1.01", "government", "base", 0.985),
              ("HCM.X1.02", "government", "base", 0.95), ("HCM.05.01", "government", "base", 0.9), ("HCM.06.01", "council", "base", 1.03),
              ("HCM.10.01", "city", "stretch", 1.03), ("HCM.17.02", "city", "stretch", 1.06), ("HCM.06.01", "city", "stretch", 1.04),
              ("HCM.03.01", "city", "stretch", 1.05), ("HCM.05.01", "city", "stretch", 1.05), ("HCM.04.04", "government", "base", 0.93)]
WARD_PLANS = {"HCM.X1.01": (97.5, 98), "HCM.X2.02": (94.5, 95)}     # 2026, 2027


def plans():
    """{(indicator, year): (low, high or nothing, colour or nothing)} of the indicators told within the year."""
    found = {}
    for line in PLANS.strip().splitlines():
        code, *years = line.split("|")
        for year, cell in zip((2026, 2027), years):
            bounds, _, colour = cell.partition(" ")
            low, _, high = bounds.partition("..")
            found[code, year] = (float(low), float(high) if high else None, colour)
    return found


def year_end(rule, figures):
    """The year's figure, from those of its periods."""
    return sum(figures.values()) if rule == "sum" else figures[max(figures)]


def past_plan(i, figures):
    """What the city planned for 2025, from what it knew then: the last years carried on, more or less boldly; a range of 10 %.
    A plan that knew how its year would end would make every forecast of it look wrong."""
    if any(period_code(i.frequency, year, 12) not in figures for year in (2022, 2023, 2024)):
        return None
    before, last = (year_end(i.rule, {p: v for p, v in figures.items() if p.startswith(year)}) for year in ("2022", "2024"))
    bold = rng("bold", i.code).gauss(0, 1)
    if i.high == "100":         # a rate
        value = min(last + (last - before) / 2 * (1 + bold / 2), 99.5)
    else:
        value = last * min(max(last / before, 0.64), 1.56) ** 0.5 * math.exp(0.06 * bold)
    return (value * 0.95, value * 1.05) if i.direction == "range" else (value, None)


def round_target(value, digits):
    step = 10.0 ** (math.floor(math.log10(abs(value))) - digits + 1)
    return round(value / step) * step


def targets(indicators, wards, observations):
    out = [
        ("HCM.05.01", CITY, "2024", "city", "base", "ge", "7.50", "", "congthuong.vn, 01/2024: 7,5-8%, cận dưới; phạm vi: TP.HCM trước 01/7/2025", 0),
        ("HCM.05.01", CITY, "2024", "city", "stretch", "ge", "8.00", "", "congthuong.vn, 01/2024: 7,5-8%, cận trên; phạm vi: TP.HCM trước 01/7/2025", 0),
        ("HCM.04.03", CITY, "2023", "city", "base", "ge", "68634", "", "thanhnien.vn, 01/2024: vốn giao cả năm; phạm vi: TP.HCM trước 01/7/2025", 0),
        ("HCM.02.01", CITY, "2024", "city", "base", "ge", "140000", "", "khoahocphothong.vn, 04/09/2024; phạm vi: TP.HCM trước 01/7/2025", 0),
    ]
    base = {key: (low, high) for key, (low, high, _) in plans().items()}
    base.update({(code, year): (v, None) for code, values in YEARLY_PLANS.items() for year, v in zip((2026, 2027), values)})
    official = defaultdict(dict)
    for code, unit, period, vintage, value, *_ in observations:
        if unit == CITY and vintage == "official":
            official[code][period] = float(value)
    for code in {code for code, _ in plans()}:
        if plan := GROWTH_PLANS.get(code) or past_plan(indicators[code], official[code]):
            base[code, 2025] = tuple(v and round_target(v, 4) for v in plan)
    comparators = {"up": "ge", "down": "le", "range": "range"}
    for (code, year), (low, high) in sorted(base.items()):
        i, printed = indicators[code], PRINTED_PLANS.get(code) if year == 2026 else None
        source = f"Kế hoạch 2026 của TP.HCM đã công bố: {printed}" if printed else MADE_UP
        out.append((code, CITY, str(year), "city", "base", comparators[i.direction], i.text(low), i.text(high) if high else "", source, 0 if printed else 1))
    for year in (2026, 2027):
        for code, author, kind, factor in MORE_PLANS:
            value = indicators[code].text(round_target(base[code, year][0] * factor, 3))
            out.append((code, CITY, str(year), author, kind, comparators[indicators[code].direction], value, "", MADE_UP, 1))
        of = [base[code, year][0] for code in SHARE_OF]
        out.append((SHARE, CITY, str(year), "city", "base", "ge", f"{of[0] / of[1] * 100:.2f}", "", f"{MADE_UP}, suy từ kế hoạch của các thành phần", 1))
    for code, values in WARD_PLANS.items():
        for year, wanted in zip((2026, 2027), values):
            for ward in sorted(wards):
                out.append((code, ward, str(year), "city", "base", "ge", f"{wanted:.2f}", "", f"{MADE_UP}, một mức cho mọi phường, xã", 1))
            for ward in rng("own", code).sample(sorted(wards), 12):
                out.append((code, ward, str(year), "unit", "stretch", "ge", f"{wanted + 1:.2f}", "", f"{MADE_UP}, phường, xã tự đăng ký", 1))
    for code in WARD_FLOWS:
        for year in (2026, 2027):
            plan, i = base[code, year][0], indicators[code]
            parts = {w: share * math.exp(rng("plan", code, w, year).gauss(0, 0.1)) for w, share in ward_shares(code, wards).items()}
            for ward, part in divide(int(plan), parts).items():
                out.append((code, ward, str(year), "city", "base", comparators[i.direction], str(part), "", f"{MADE_UP}, phần của phường, xã trong kế hoạch thành phố", 1))
    return out


# ---- feedback --------------------------------------------------------------------------------

PLACES = ["đầu hẻm 45", "trước cổng chợ", "gần trường tiểu học", "ngã tư đường số 7", "cạnh công viên khu phố 3", "phía sau nhà văn hóa", "trước trạm y tế",
          "đoạn gần chân cầu", "khu dân cư ven kênh", "trước chung cư lô B", "đường nội bộ khu phố 12", "gần vòng xoay", "cuối hẻm 118", "đối diện trạm xe buýt"]
SINCE = ["ba ngày nay", "gần một tuần nay", "từ đầu tháng", "hơn mười ngày nay", "từ tối hôm trước", "mấy hôm nay", "suốt tuần qua", "từ cuối tuần trước"]
CLOSE = ["Đề nghị đơn vị phụ trách kiểm tra giúp.", "Mong cơ quan chức năng sớm xử lý.", "Bà con trong khu rất mong được hồi âm.", "Kính nhờ cán bộ xuống xem thực tế.", "Xin cảm ơn.", ""]
# category: share, then cases of (title, what is wrong, what comes of it, answer); {p} a place, {s} since when
TEXTS = {
    "road": (9, [
        ("Ổ gà lớn {p}", "Mặt đường {p} có ổ gà sâu {s}", "xe máy đi qua dễ ngã", "Đơn vị duy tu đã vá mặt đường và đặt lại biển báo."),
        ("Tái lập mặt đường kém {p}", "Mặt đường {p} lún sau khi đào lắp ống, {s} chưa sửa", "xe tải chạy qua gây rung nhà dân", "Nhà thầu đã cào bóc và thảm lại đoạn lún."),
        ("Nắp hố ga bập bênh {p}", "Nắp hố ga {p} kênh lên {s}", "buổi tối rất nguy hiểm vì thiếu cảnh báo", "Đã thay nắp hố ga, mặt bằng êm thuận trở lại."),
        ("Đèn tín hiệu hỏng {p}", "Đèn giao thông {p} không hoạt động {s}", "giờ cao điểm các hướng chen nhau", "Đã thay bộ điều khiển, đèn hoạt động bình thường.")]),
    "flood": (6, [
        ("Ngập nước {p}", "Mưa chưa lớn mà {p} đã ngập, {s} trận nào cũng vậy", "nước tràn vào nhà dân", "Đơn vị thoát nước đã hút bùn; đoạn này được đưa vào danh mục cải tạo."),
        ("Cống thoát nước bị nghẹt {p}", "Miệng cống {p} bị rác bịt kín {s}", "nước rút rất chậm, có mùi hôi", "Đã nạo vét hố ga và khơi thông dòng chảy."),
        ("Triều cường tràn vào hẻm {p}", "Triều lên là nước tràn {p}, {s} ngày nào cũng có", "xe chết máy, học sinh phải lội nước", "Đã lắp van ngăn triều tạm và bố trí bơm.")]),
    "tree": (3, [
        ("Cây xanh nghiêng {p}", "Cây lớn {p} nghiêng về phía nhà dân {s}", "mưa gió dễ gãy đổ", "Đã hạ thấp tán và chống đỡ cây."),
        ("Nhánh cây khô sắp gãy {p}", "Nhiều nhánh khô {p} rụng xuống đường {s}", "vướng vào dây điện", "Đã cắt tỉa toàn bộ nhánh khô.")]),
    "lighting": (4, [
        ("Đèn đường không sáng {p}", "Dãy đèn {p} tắt {s}", "đi lại buổi tối rất tối", "Đã thay bóng và sửa đường dây chiếu sáng."),
        ("Đèn hẻm chập chờn {p}", "Bóng đèn {p} chớp tắt liên tục {s}", "người dân lo mất an toàn", "Đã khắc phục sự cố tủ điều khiển.")]),
    "waste": (10, [
        ("Rác tồn đọng {p}", "Rác sinh hoạt {p} không được thu gom {s}", "bốc mùi hôi và nhiều ruồi", "Đã thu gom, rửa đường và nhắc nhở đơn vị vệ sinh."),
        ("Đổ xà bần trái phép {p}", "Có người đổ xà bần {p} {s}", "chắn hết lối đi bộ", "Phường đã dọn sạch và lắp camera theo dõi điểm này."),
        ("Thùng rác công cộng quá tải {p}", "Thùng rác {p} tràn ra lòng đường {s}", "nước rỉ chảy ra mặt đường", "Đã tăng số chuyến thu gom và đặt thêm thùng.")]),
    "noise": (9, [
        ("Hát karaoke ồn {p}", "Loa kéo {p} mở rất to mỗi tối, {s}", "người già và trẻ nhỏ không ngủ được", "Tổ công tác đã lập biên bản và yêu cầu giảm âm lượng."),
        ("Công trình thi công ban đêm {p}", "Công trình {p} đục phá sau 22 giờ, {s} đêm nào cũng có", "cả dãy nhà mất ngủ", "Đã làm việc với chủ công trình, cam kết ngừng trước 22 giờ."),
        ("Quán mở nhạc lớn {p}", "Quán nước {p} mở nhạc đến khuya {s}", "đã nhắc nhở nhưng không thay đổi", "Quán đã ký cam kết, phường sẽ kiểm tra lại vào cuối tuần.")]),
    "water": (4, [
        ("Rò rỉ ống nước {p}", "Ống cấp nước {p} bị vỡ, nước chảy {s}", "lãng phí và làm hư mặt đường", "Đã sửa điểm bể và cấp nước trở lại."),
        ("Nước yếu {p}", "Áp lực nước {p} rất yếu {s}", "sinh hoạt bị đảo lộn", "Đã điều chỉnh van, áp lực trở lại mức thường."),
        ("Nước máy đục {p}", "Nước máy {p} có màu vàng {s}", "không dám dùng nấu ăn", "Đã súc xả tuyến ống, mẫu nước đạt yêu cầu.")]),
    "power": (4, [
        ("Mất điện nhiều lần {p}", "Khu vực {p} mất điện nhiều lần {s}", "hộ kinh doanh bị thiệt hại", "Đã thay thiết bị đóng cắt, cấp điện ổn định."),
        ("Dây điện sà thấp {p}", "Dây điện {p} sà xuống đầu người đi đường {s}", "nguy hiểm khi trời mưa", "Đã kéo căng và bó gọn dây dẫn."),
        ("Trụ điện nghiêng {p}", "Trụ điện {p} nghiêng sau khi bị xe va, {s}", "lo đổ vào nhà dân", "Đã gia cố móng và dựng thẳng trụ.")]),
    "security": (4, [
        ("Tụ tập gây rối {p}", "Nhóm thanh niên tụ tập {p} về khuya {s}", "người dân bất an", "Công an phường đã tăng tuần tra khu vực."),
        ("Đua xe ban đêm {p}", "Xe rú ga, lạng lách {p} {s}", "mất trật tự cả khu", "Đã lập chốt kiểm tra và xử lý các trường hợp vi phạm."),
        ("Mất trộm vặt {p}", "Nhiều nhà {p} bị lấy đồ trước hiên {s}", "bà con phải thay nhau canh", "Đã ghi nhận vụ việc và vận động lắp thêm camera.")]),
    "procedure": (24, [
        ("Hồ sơ đất đai quá hẹn", "Hồ sơ của tôi quá ngày hẹn trả {s}", "ảnh hưởng đến việc vay vốn của gia đình", "Bộ phận một cửa đã xin lỗi và hẹn lại ngày trả cụ thể."),
        ("Không nộp được hồ sơ trực tuyến", "Cổng dịch vụ báo lỗi khi tải giấy tờ {s}", "thử nhiều máy vẫn không được", "Lỗi tải tệp đã được khắc phục, mời ông/bà nộp lại."),
        ("Tra cứu hồ sơ báo lỗi", "Trạng thái hồ sơ không thay đổi {s}", "dữ liệu giữa hai hệ thống không khớp", "Dữ liệu đã được đồng bộ lại, trạng thái hiện đúng."),
        ("Chưa nhận kết quả chứng thực", "Giấy hẹn đã tới ngày mà chưa có kết quả {s}", "gọi hỏi chưa có câu trả lời rõ ràng", "Kết quả đã có, mời ông/bà đến nhận hoặc nhận qua bưu điện."),
        ("Hồ sơ hộ kinh doanh bị trả nhiều lần", "Phải bổ sung giấy tờ nhiều đợt {s}", "mỗi lần một yêu cầu khác nhau", "Đã hướng dẫn một lần bằng văn bản, hồ sơ đang được thẩm định."),
        ("Sai thông tin trên giấy khai sinh", "Bản điện tử ghi sai ngày sinh, {s} chưa sửa", "không đăng ký nhập học được", "Đã cải chính và cấp lại bản điện tử."),
        ("Hồ sơ cư trú chưa được cập nhật", "Địa chỉ theo phường mới chưa có trong hệ thống {s}", "không làm được thẻ bảo hiểm", "Đã cập nhật địa chỉ theo địa giới mới.")]),
    "building": (5, [
        ("Nghi xây dựng không phép {p}", "Nhà {p} nâng tầng {s} nhưng không thấy bảng giấy phép", "ảnh hưởng nhà bên cạnh", "Đã kiểm tra, công trình có giấy phép và đang thi công đúng."),
        ("Xây lấn ranh {p}", "Công trình {p} lấn ra hẻm {s}", "hẻm bị hẹp lại", "Đã lập biên bản đình chỉ phần sai phép.")]),
    "sidewalk": (6, [
        ("Lấn chiếm vỉa hè {p}", "Vỉa hè {p} bị bày bán kín lối {s}", "người đi bộ phải xuống lòng đường", "Đã vận động các hộ di dời vào bên trong."),
        ("Đậu xe chắn lối đi {p}", "Ô tô đậu {p} chắn hết đường {s}", "xe cứu hỏa khó vào", "Tổ trật tự đã xử lý và kẻ vạch đậu xe.")]),
    "bus": (6, [
        ("Xe buýt bỏ trạm {p}", "Xe buýt không dừng ở trạm {p} {s}", "học sinh lỡ giờ học", "Đã chấn chỉnh tài xế và đơn vị vận tải."),
        ("Nhà chờ xe buýt hư {p}", "Mái nhà chờ {p} bị tốc {s}", "khách phải đứng nắng", "Đã sửa mái che và thay bảng giờ chạy."),
        ("Xe buýt giãn chuyến {p}", "Tuyến qua {p} giãn chuyến quá lâu {s}", "đợi hơn bốn mươi phút", "Đã bổ sung xe vào giờ cao điểm.")]),
    "food": (2, [
        ("Quán ăn mất vệ sinh {p}", "Bếp ăn {p} để thực phẩm sát cống {s}", "lo ngộ độc", "Cơ sở đã được yêu cầu tạm dừng để khắc phục."),
        ("Nghi thực phẩm không rõ nguồn gốc {p}", "Hàng bán {p} không có nhãn {s}", "nhiều trẻ em mua ăn", "Đoàn kiểm tra đã lấy mẫu và nhắc nhở cơ sở.")]),
    "health": (2, [
        ("Ổ lăng quăng {p}", "Bãi đất trống {p} đọng nước, nhiều muỗi {s}", "đã có người sốt xuất huyết trong khu", "Đã phun hóa chất và lật úp vật chứa nước."),
        ("Chờ khám lâu tại trạm y tế", "Trạm y tế thiếu người trực {s}", "người lớn tuổi phải chờ lâu", "Trạm đã bố trí thêm người trực.")]),
    "education": (1, [
        ("Thiếu chỗ học bán trú", "Trường trên địa bàn chưa nhận thêm bán trú {s}", "phụ huynh không sắp xếp được giờ đón", "Nhà trường đã mở thêm lớp bán trú."),
        ("Cổng trường kẹt xe {p}", "Giờ tan học {p} kẹt xe {s}", "trẻ em băng qua đường rất nguy hiểm", "Đã phân luồng và bố trí người điều tiết.")]),
    "telecom": (1, [
        ("Cáp viễn thông chùng {p}", "Bó cáp {p} chùng xuống lòng đường {s}", "vướng người đi xe máy", "Đã bó gọn và nâng cáp."),
        ("Tủ cáp mở nắp {p}", "Tủ cáp {p} hở nắp {s}", "mất mỹ quan và dễ chập", "Đã khóa lại tủ cáp.")]),
}
CHANNELS = [("app", 52), ("hotline", 28), ("web", 20)]
FEEDBACK_COUNT, FEEDBACK_WEEKS = 480, 10
FEEDBACK_END = datetime(2026, 11, 22, 23, 59, 30, tzinfo=LOCAL)     # a Sunday's last minute: whole weeks later it is one again
UNANSWERED = 13                 # overdue in whatever part of the last week the file is cut off


def working_deadline(start, days, off):
    """The end of office hours of the `days`-th working day after the day of a moment."""
    day = start.astimezone(LOCAL).date()
    while days:
        day += timedelta(days=1)
        if day.weekday() < 5 and day not in off:
            days -= 1
    return datetime(day.year, day.month, day.day, 17, tzinfo=LOCAL)


def random_point(r, geometry):
    polygon = max(polygons(geometry), key=lambda p: abs(rings_area(p[0])))
    xs, ys = zip(*polygon[0])
    while True:
        x, y = round(r.uniform(min(xs), max(xs)), 5), round(r.uniform(min(ys), max(ys)), 5)
        if inside(polygon, x, y):
            return x, y


def feedback(shapes, units):
    r = rng("feedback")
    categories = {c["code"]: c for c in rows(HERE / "categories.csv")}
    off, names = holidays(), {u[0]: u[3] for u in units if u[0] in shapes}
    busy = {c: (4 if names[c].startswith("Phường") else 1) * (1.6 if c >= "26734" else 1) for c in shapes}
    days = [FEEDBACK_END.date() - timedelta(days=n) for n in range(7 * FEEDBACK_WEEKS)]
    used, out = set(), []
    while len(out) < FEEDBACK_COUNT:
        category = r.choices(list(TEXTS), [t[0] for t in TEXTS.values()])[0]
        title, wrong, effect, answer = r.choice(TEXTS[category][1])
        ward = r.choices(list(busy), list(busy.values()))[0]
        place = r.choice(PLACES)
        title = title.format(p=place)
        body = f"{wrong.format(p=place, s=r.choice(SINCE))}, {effect}. Thuộc {names[ward][0].lower() + names[ward][1:]}. {r.choice(CLOSE)}".strip()
        if (title, body) in used:
            continue
        used.add((title, body))
        hour = r.choices(range(24), [1, 1, 1, 1, 1, 2, 5, 9, 11, 11, 10, 8, 6, 7, 9, 9, 9, 8, 8, 8, 7, 6, 4, 2])[0]
        day = r.choices(days, [1 if d.weekday() < 5 else 0.8 for d in days])[0]
        created = datetime(day.year, day.month, day.day, hour, r.randrange(60), r.randrange(60), tzinfo=LOCAL)
        if not out or created > FEEDBACK_END:
            created = FEEDBACK_END
        due = working_deadline(created, int(categories[category]["answer_working_days"]), off)
        allowed = (due - created).total_seconds() / 3600
        late = r.random() < 0.027
        hours = allowed * (r.uniform(1.05, 1.7) if late else r.betavariate(2.3, 1.2) * 0.98)
        routed = int(r.lognormvariate(4.6, 0.55)) if r.random() < 0.95 else int(r.uniform(320, 2400))
        hours = max(hours, routed / 3600 + 0.3)
        good = r.choices([5, 4, 3, 2, 1], [44, 30, 14, 7, 5] if not late else [8, 14, 26, 28, 24])[0]
        rating = good if r.random() < 0.42 else ""
        x, y = random_point(r, shapes[ward])
        out.append((category, title[0].upper() + title[1:], body, x, y, r.choices([c for c, _ in CHANNELS], [w for _, w in CHANNELS])[0],
                    created.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"), routed, f"{hours:.1f}", rating, answer))
    out.sort(key=lambda f: f[6])
    # Of what is due on one day two answers come in its last half hour.
    due = [working_deadline(moment(f[6]), int(categories[f[0]]["answer_working_days"]), off) for f in out]
    for last in sorted(set(due)):
        allowed = {n: (d - moment(out[n][6])).total_seconds() / 3600 for n, d in enumerate(due) if d == last}
        in_time = sorted((n for n in allowed if float(out[n][8]) <= allowed[n]), key=lambda n: float(out[n][8]) / allowed[n])
        for n in in_time[-2:]:
            out[n] = out[n][:8] + (f"{allowed[n] - r.uniform(0.1, 0.4):.1f}",) + out[n][9:]
    # Nobody answers some of the older ones: created 8 working days before the last week at least, six weeks before the end at most.
    last_week, oldest = (FEEDBACK_END - timedelta(days=n) for n in (7, 42))
    old = [n for n, f in enumerate(out) if moment(f[6]) > oldest and working_deadline(moment(f[6]), 8, off) < last_week]
    for n in r.sample(old, UNANSWERED):
        out[n] = out[n][:8] + ("", "", "")
    return out


def moment(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def check_feedback():
    """However much of the last week is still to come, the rest looks like a city's feedback of a day."""
    off, categories = holidays(), {c["code"]: c for c in rows(HERE / "categories.csv")}
    items = []
    for f in rows(HERE / "feedback.csv"):
        created = moment(f["created"])
        answered = created + timedelta(hours=float(f["answered_after_h"])) if f["answered_after_h"] else None
        items.append((created, answered, working_deadline(created, int(categories[f["category"]]["answer_working_days"]), off)))
    assert max(i[0] for i in items) == FEEDBACK_END and min(i[0] for i in items) > FEEDBACK_END - timedelta(weeks=FEEDBACK_WEEKS)
    seen = defaultdict(list)
    for hours in range(0, 7 * 24):
        now = FEEDBACK_END - timedelta(hours=hours)
        there = [i for i in items if i[0] <= now]
        unanswered = [due for _, answered, due in there if not answered or answered > now]
        overdue = sum(due < now for due in unanswered)
        done = [answered <= due for _, answered, due in there if answered and answered <= now]
        soon = sum(now <= due < now + timedelta(days=1) for due in unanswered)
        seen["overdue"].append(overdue)
        seen["open in time"].append(len(unanswered) - overdue)
        # Deadlines are ends of working days, so that nothing is due within a day from Friday evening to Sunday afternoon.
        if any(now + timedelta(hours=0.5) < due < now + timedelta(days=1) for _, _, due in items):
            seen["due within a day"].append(soon)
        seen["on time of all due"].append(round(sum(done) / (len(done) + overdue), 4))
    print("  feedback, over the last week:", {k: (min(v), max(v)) for k, v in seen.items()})
    assert UNANSWERED <= min(seen["overdue"]) and max(seen["overdue"]) <= UNANSWERED + 3, seen["overdue"]
    assert min(seen["open in time"]) >= 10 and min(seen["due within a day"]) >= 2
    assert 0.935 < min(seen["on time of all due"]) and max(seen["on time of all due"]) < 0.955


# ---- checks ----------------------------------------------------------------------------------

DUE_DAYS = {frequency: last for frequency, (_, last) in REPORTED.items()}


def expected(frequency, day):
    """The last period that was due before a day."""
    months, (y, m) = {"month": 1, "quarter": 3, "year": 12}[frequency], (day.year, day.month)
    while True:
        y, m = (y, m - 1) if m > 1 else (y - 1, 12)
        period = period_code(frequency, y, m)
        if m % months == 0 and period_end(period) + timedelta(days=DUE_DAYS[frequency]) < day:
            return period


def check_reporting(indicators):
    """Made-up figures come in when they are due, and on any day the same few are late."""
    first, steps = {}, defaultdict(list)
    for o in rows(HERE / "observations.csv"):
        if o["illustrative"] == "0" and o["unit_key"] != CITY:
            continue
        key, known = (o["indicator"], o["unit_key"], o["period"]), moment(o["known_time"])
        i, end = indicators[o["indicator"]], period_end(o["period"])
        if len(o["period"]) == len(period_code(i["frequency"], 2021, 12)):
            first[key] = min(known, first.get(key, known))
        if o["illustrative"] == "1":
            over = datetime(end.year, end.month, end.day, tzinfo=LOCAL) + timedelta(days=DAYS_OF_ESTIMATE if o["vintage"] == "estimate" else 1)
            assert known >= over, o
            steps[key].append((known, ["estimate", "preliminary", "official"].index(o["vintage"])))
    assert all([v for _, v in sorted(s)] == sorted(v for _, v in s) for s in steps.values())
    late, counts = LATE | {code for code, unit in ENTERED if unit == CITY}, Counter()
    reported = {(code, unit) for code, unit, _ in first}
    day = date(2026, 11, 1)
    while day.year <= LAST_YEAR:
        now = datetime(day.year, day.month, day.day, tzinfo=LOCAL)
        wanted = {frequency: expected(frequency, day) for frequency in DUE_DAYS}
        overdue = [(code, unit) for code, unit in reported if first[code, unit, wanted[indicators[code]["frequency"]]] > now]
        city, wards = {code for code, unit in overdue if unit == CITY}, Counter(code for code, unit in overdue if unit != CITY)
        if day.day > 5:
            assert city == late and wards == {code: n + 1 for code, n in WARD_LATE.items()}, (day, city, wards)
        assert city <= late, (day, city)
        counts[len(city)] += 1
        day += timedelta(days=1)
    print("  late series of the city: on so many days", dict(sorted(counts.items())))


def check_plans(indicators):
    """The year's official end lies on the side of the plan that its colour promises, near it where it is uncertain."""
    ends = defaultdict(dict)
    for o in rows(HERE / "observations.csv"):
        if o["unit_key"] == CITY and o["vintage"] == "official" and o["illustrative"] == "1":
            ends[o["indicator"], int(o["period"][:4])][o["period"]] = float(o["value"])
    mix = Counter()
    for (code, year), (low, high, colour) in plans().items():
        i = indicators[code]
        end = year_end(i["ytd_rule"], ends[code, year])
        met = low <= end <= high if high else end >= low if i["direction"] == "up" else end <= low
        assert abs(end / low - 1) < 0.12 if colour == "o" else met == (colour == "g"), (code, year, low, high, end, colour)
        mix[year, colour] += 1
    assert all(11 <= mix[y, "r"] <= 13 and 12 <= mix[y, "o"] <= 16 and sum(mix[y, c] for c in "rog") == 47 for y in (2026, 2027)), mix
    print("  plans:", dict(sorted(mix.items())))


def check(shapes):
    units = {u["key"]: u for u in rows(HERE / "units.csv")}
    kinds = Counter((u["kind"], u["valid_from"]) for u in units.values())
    assert len(units) == len(rows(HERE / "units.csv"))
    assert [kinds[k, REFORM] for k in ("ward", "commune", "special_zone")] == [113, 54, 1]
    assert kinds["district", "2021-01-01"] == 22 and kinds["ward", "2021-01-01"] + kinds["commune", "2021-01-01"] == 312
    assert all(u["parent_key"] in units for u in units.values() if u["key"] != NATION)
    alive = [u for u in units.values() if u["kind"] in ("ward", "commune") and u["valid_from"] <= "2025-03-01" <= u["valid_to"]]
    assert len(alive) == 273, len(alive)

    total, ended = defaultdict(int), set()
    for c in rows(HERE / "unit_changes.csv"):
        assert c["from_key"] in units and (c["to_key"] in units or c["kind"] == "abolish"), c
        assert date.fromisoformat(units[c["from_key"]]["valid_to"]) == date.fromisoformat(c["date"]) - timedelta(days=1), c
        ended.add(c["from_key"])
        total[c["from_key"]] += round(float(c["weight"]) * 1_000_000)
    assert set(total.values()) == {1_000_000}
    assert ended == {k for k, u in units.items() if u["valid_to"]}

    indicators = {i["code"]: i for i in rows(HERE / "indicators.csv")}
    assert len(indicators) == 67 and all(i["owner_key"] in units for i in indicators.values())
    fields = {i["field_code"] for i in indicators.values()}
    assert all(f in fields for u in units.values() for f in u["fields"].split("|") if f)
    for i in indicators.values():
        assert i["field_code"] in units[i["owner_key"]]["fields"].split("|"), (i["code"], i["owner_key"])
    seen = set()
    for o in rows(HERE / "observations.csv"):
        key = tuple(o[k] for k in ("indicator", "unit_key", "period", "vintage", "known_time"))
        assert key not in seen, key
        seen.add(key)
        i = indicators[o["indicator"]]
        assert o["unit_key"] in units and re.fullmatch(r"\d{4}(-(0[1-9]|1[0-2]|Q[1-4]|H[12]))?", o["period"]), o
        assert re.fullmatch(r"-?\d+(\.\d+)?", o["value"]) and moment(o["known_time"]), o
        if o["unit_key"] != NATION and len(o["period"]) > 4 and "H" not in o["period"]:
            assert float(i["min"]) <= float(o["value"]) <= float(i["max"]), o
    seen = set()
    for t in rows(HERE / "targets.csv"):
        key = tuple(t[k] for k in ("indicator", "unit_key", "period", "author", "kind"))
        assert key not in seen, key
        seen.add(key)
        assert t["indicator"] in indicators and t["unit_key"] in units and float(t["value"]) is not None
    for year in ("2026", "2027"):
        aimed = {t["indicator"] for t in rows(HERE / "targets.csv") if t["period"] == year}
        assert aimed == {c for c, i in indicators.items() if i["direction"] != "context"}
    check_reporting(indicators)
    check_plans(indicators)
    check_feedback()
    categories = {c["code"]: c for c in rows(HERE / "categories.csv")}
    assert all(c["route_to"] in ("ward", "dispatcher") or c["route_to"] in units for c in categories.values()) and {c["field_code"] for c in categories.values()} <= fields
    for f in rows(HERE / "feedback.csv"):
        assert f["category"] in categories
        assert any(inside(p, float(f["lon"]), float(f["lat"])) for g in shapes.values() for p in polygons(g)), f
    for a in rows(HERE / "accounts.csv"):
        assert {a["unit_key"], a["grant_unit_key"]} <= set(units) and all(f in fields for f in a["fields"].split("|") if f), a
    for code, shape in shapes.items():
        u = units[code]
        assert any(inside(p, float(u["lon"]), float(u["lat"])) for p in polygons(shape)), code
    for name in HERE.glob("*.csv"):
        text = name.read_text(encoding="utf-8")
        assert text == unicodedata.normalize("NFC", text) and not re.search(r"[^\n]  ", text), name
    print("checked")


def main():
    sources = Path(sys.argv[1])
    shapes = load_boundaries(sources)
    write_boundaries(shapes)
    units, changes = units_and_changes(sources, shapes)
    write("units.csv", "key,code,kind,name_vi,name_en,parent_key,valid_from,valid_to,fields,lon,lat", units)
    write("unit_changes.csv", "date,kind,from_key,to_key,weight,basis,quality", changes)
    indicators = load_indicators(sources)
    write_indicators(indicators)
    printed = printed_observations(sources, indicators)
    made_up = made_up_observations(indicators, printed)
    parts = [printed, national_observations(sources, indicators), made_up, ward_observations(indicators, shapes), ward_flows(made_up, shapes)]
    print("  printed, national, made up, rates of wards, amounts of wards:", [len(p) for p in parts])
    write("observations.csv", "indicator,unit_key,period,vintage,value,known_time,source,illustrative",
          sorted((o for p in parts for o in p), key=lambda o: (o[0], len(o[1]), o[1], o[2], o[5], o[3])))
    write("targets.csv", "indicator,unit_key,period,author,kind,comparator,value,value_high,source,illustrative", targets(indicators, shapes, printed + made_up))
    write("feedback.csv", "category,title_vi,body_vi,lon,lat,channel,created,routed_after_s,answered_after_h,rating,answer_vi", feedback(shapes, units))
    check(shapes)


if __name__ == "__main__":
    main()
