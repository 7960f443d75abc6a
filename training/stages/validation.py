"""How good a network is at finding photographs of one type. Must not know what it learns from."""

from training.data.sets import QuerySet
from training.ranking.precision import mean_average_precision, recall_at
from training.ranking.rank import rank
from training.stages.stage import Embed


def retrieval_figures(asked: QuerySet, embed: Embed) -> dict[str, float]:
    """Return mean average precision, by the authors' rule and the standard one, and recall at 1.

    Args:
        asked: Queries and what they should find; at least one.
        embed: Gives embeddings of norm 1.
    """
    rows = embed((*asked.queries, *asked.database))
    count = len(asked.queries)
    ranked = rank(rows[:count], rows[count:], asked.relevant, asked.ignored)
    return {
        "map": mean_average_precision(ranked.relevant),
        "map_standard": mean_average_precision(ranked.relevant, rule="standard"),
        "recall_at_1": recall_at(ranked.relevant, (1,))[1],
    }
