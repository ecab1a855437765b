# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Countries by the two letters of ISO 3166, and what people write instead of them."""

from __future__ import annotations

import difflib
import re

from .errors import RequestRefused

#: Codes and names of ISO 3166-1.
_ISO = """
AD Andorra; AE United Arab Emirates; AF Afghanistan; AG Antigua & Barbuda; AI Anguilla;
AL Albania; AM Armenia; AO Angola; AQ Antarctica; AR Argentina; AS Samoa (American);
AT Austria; AU Australia; AW Aruba; AX Aland Islands; AZ Azerbaijan; BA Bosnia & Herzegovina;
BB Barbados; BD Bangladesh; BE Belgium; BF Burkina Faso; BG Bulgaria; BH Bahrain; BI Burundi;
BJ Benin; BL St Barthelemy; BM Bermuda; BN Brunei; BO Bolivia; BQ Caribbean NL; BR Brazil;
BS Bahamas; BT Bhutan; BV Bouvet Island; BW Botswana; BY Belarus; BZ Belize; CA Canada;
CC Cocos (Keeling) Islands; CD Congo (Dem. Rep.); CF Central African Rep.; CG Congo (Rep.);
CH Switzerland; CI Cote d'Ivoire; CK Cook Islands; CL Chile; CM Cameroon; CN China;
CO Colombia; CR Costa Rica; CU Cuba; CV Cape Verde; CW Curacao; CX Christmas Island;
CY Cyprus; CZ Czech Republic; DE Germany; DJ Djibouti; DK Denmark; DM Dominica;
DO Dominican Republic; DZ Algeria; EC Ecuador; EE Estonia; EG Egypt; EH Western Sahara;
ER Eritrea; ES Spain; ET Ethiopia; FI Finland; FJ Fiji; FK Falkland Islands; FM Micronesia;
FO Faroe Islands; FR France; GA Gabon; GB United Kingdom; GD Grenada; GE Georgia;
GF French Guiana; GG Guernsey; GH Ghana; GI Gibraltar; GL Greenland; GM Gambia; GN Guinea;
GP Guadeloupe; GQ Equatorial Guinea; GR Greece;
GS South Georgia & the South Sandwich Islands; GT Guatemala; GU Guam; GW Guinea-Bissau;
GY Guyana; HK Hong Kong; HM Heard Island & McDonald Islands; HN Honduras; HR Croatia;
HT Haiti; HU Hungary; ID Indonesia; IE Ireland; IL Israel; IM Isle of Man; IN India;
IO British Indian Ocean Territory; IQ Iraq; IR Iran; IS Iceland; IT Italy; JE Jersey;
JM Jamaica; JO Jordan; JP Japan; KE Kenya; KG Kyrgyzstan; KH Cambodia; KI Kiribati;
KM Comoros; KN St Kitts & Nevis; KP North Korea; KR South Korea; KW Kuwait;
KY Cayman Islands; KZ Kazakhstan; LA Laos; LB Lebanon; LC St Lucia; LI Liechtenstein;
LK Sri Lanka; LR Liberia; LS Lesotho; LT Lithuania; LU Luxembourg; LV Latvia; LY Libya;
MA Morocco; MC Monaco; MD Moldova; ME Montenegro; MF St Martin (French); MG Madagascar;
MH Marshall Islands; MK North Macedonia; ML Mali; MM Myanmar; MN Mongolia; MO Macau;
MP Northern Mariana Islands; MQ Martinique; MR Mauritania; MS Montserrat; MT Malta;
MU Mauritius; MV Maldives; MW Malawi; MX Mexico; MY Malaysia; MZ Mozambique; NA Namibia;
NC New Caledonia; NE Niger; NF Norfolk Island; NG Nigeria; NI Nicaragua; NL Netherlands;
NO Norway; NP Nepal; NR Nauru; NU Niue; NZ New Zealand; OM Oman; PA Panama; PE Peru;
PF French Polynesia; PG Papua New Guinea; PH Philippines; PK Pakistan; PL Poland;
PM St Pierre & Miquelon; PN Pitcairn; PR Puerto Rico; PS Palestine; PT Portugal; PW Palau;
PY Paraguay; QA Qatar; RE Reunion; RO Romania; RS Serbia; RU Russia; RW Rwanda;
SA Saudi Arabia; SB Solomon Islands; SC Seychelles; SD Sudan; SE Sweden; SG Singapore;
SH St Helena; SI Slovenia; SJ Svalbard & Jan Mayen; SK Slovakia; SL Sierra Leone;
SM San Marino; SN Senegal; SO Somalia; SR Suriname; SS South Sudan; ST Sao Tome & Principe;
SV El Salvador; SX St Maarten (Dutch); SY Syria; SZ Eswatini (Swaziland);
TC Turks & Caicos Is; TD Chad; TF French S. Terr.; TG Togo; TH Thailand; TJ Tajikistan;
TK Tokelau; TL East Timor; TM Turkmenistan; TN Tunisia; TO Tonga; TR Turkey;
TT Trinidad & Tobago; TV Tuvalu; TW Taiwan; TZ Tanzania; UA Ukraine; UG Uganda;
UM US minor outlying islands; US United States; UY Uruguay; UZ Uzbekistan; VA Vatican City;
VC St Vincent; VE Venezuela; VG Virgin Islands (UK); VI Virgin Islands (US); VN Vietnam;
VU Vanuatu; WF Wallis & Futuna; WS Samoa (western); YE Yemen; YT Mayotte; ZA South Africa;
ZM Zambia; ZW Zimbabwe
"""
#: What people write beside codes and names.
_ALIASES = {
    "uk": "GB",
    "greatbritain": "GB",
    "england": "GB",
    "usa": "US",
    "unitedstatesofamerica": "US",
    "america": "US",
    "holland": "NL",
    "korea": "KR",
    "czechia": "CZ",
    "uae": "AE",
    "turkiye": "TR",
}


def _folded(word: str) -> str:
    return "".join(re.findall(r"\w", word.casefold()))


_CODES = {entry[:2]: entry[3:] for entry in re.split(r";\s+", _ISO.strip())}
_BY_WORD = {**{_folded(name): code for code, name in _CODES.items()}, **_ALIASES}


def code_of_country(name: str) -> str | None:
    """The code of a country by its name as people write it; None where that is no country's."""
    code = name.strip().upper()
    return code if code in _CODES else _BY_WORD.get(_folded(name))


def country_code(word: str) -> str:
    """The code of a country as it is kept; raises RequestRefused for what is none."""
    code = word.strip().upper()
    if code in _CODES:
        return code
    meant = (_BY_WORD[one] for one in difflib.get_close_matches(_folded(word), _BY_WORD, n=2))
    alike = " or ".join(f"{code} for {_CODES[code]}" for code in dict.fromkeys(meant))
    raise RequestRefused(
        f"countries has {word!r}, which is not the code of a country.",
        remedy=f"Give the two letters of each (ISO 3166), such as {alike or 'SE for Sweden'}.",
        money="Nothing was rented.",
    )
