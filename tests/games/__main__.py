"""Play the games and write their page: python -m tests.games --rounds 2000."""

import argparse
import sys
from pathlib import Path

from tests.games.linkage import LinkageGame
from tests.games.page import page
from tests.games.tagging import DEEDS, TaggingGame

PAGE = Path(__file__).parents[2] / "docs" / "evidence" / "games.md"


def play(rounds, seed):
    """All games: those of linkage by level, those of tagging by deed."""
    linkage = {level: LinkageGame(level, seed) for level in (2, 1)}
    tagging = {deed: TaggingGame(deed, seed) for deed in DEEDS}
    for name, game in (linkage | tagging).items():
        game.play(rounds)
        sys.stderr.write(f"played {rounds} rounds: {name}\n")
    return linkage, tagging


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=20_261_126)
    options = parser.parse_args()
    text, within = page(
        *play(options.rounds, options.seed), rounds=options.rounds, seed=options.seed
    )
    PAGE.write_text(text, "utf-8")
    sys.stdout.write(f"{PAGE}: {'within' if within else 'BEYOND'} the bounds\n")
    sys.exit(0 if within else 1)


main()
