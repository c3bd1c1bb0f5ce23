"""SkyLinks: where a position can be looked at."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from galmorph.pages.sky_links import sky_links


def test_each_service_is_told_the_position():
    links = {link.title: urlsplit(link.address) for link in sky_links(34.40625, -5.2)}
    assert all(address.scheme == "https" for address in links.values())
    assert parse_qs(links["Aladin Lite"].query)["target"] == ["34.406250 -5.200000"]
    assert parse_qs(links["Legacy Surveys"].query)["dec"] == ["-5.200000"]
    assert parse_qs(links["NED"].query)["coordinates"] == ["34.406250d -5.200000d"]
    assert parse_qs(links["SIMBAD"].query)["Coord"] == ["34.406250 -5.200000"]
    assert "+5.200000" in parse_qs(urlsplit(sky_links(1.0, 5.2)[0].address).query)["target"][0]


@pytest.mark.parametrize("place", [(None, None), (float("nan"), 1.0), (1.0, None)])
def test_a_galaxy_without_position_has_no_links(place):
    assert sky_links(*place) == []
