"""A line as small as a word."""

from services.api.pages.sparkline import HEIGHT, WIDTH, sparkline


def test_it_says_what_it_shows() -> None:
    drawn = sparkline([12.0, 80.0, 64.2], 100.0, "Engagement over 2 days")
    assert 'aria-label="Engagement over 2 days: 12 at first, 80 at most, 64.2 now"' in drawn
    assert '<polyline class="line" points="3,22.4 48,7.4 93,10.9"/>' in drawn


def test_nothing_and_one_value_and_more_than_the_edge_are_drawn_inside() -> None:
    assert 'points="3,25 93,25"' in sparkline([0.0, 0.0], 0.0, "x")
    assert f'points="3,{HEIGHT - 3}"' in sparkline([0.0], 1.0, "x")
    assert 'points="3,3 93,3"' in sparkline([5.0, 500.0], 1.0, "x")
    assert f'width="{WIDTH}"' in sparkline([1.0], 1.0, '"><script>')
    assert "<script>" not in sparkline([1.0], 1.0, '"><script>')
