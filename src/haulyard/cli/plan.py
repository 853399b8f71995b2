"""Say what a bulk job would do, before anything happens: copy, move, delete, restore or retag by rules.

plan VERB SOURCE [DESTINATION]  lists the source and writes the plan; --rules FILE says what goes where
plan show JOB [--sql "…"]       shows a plan, or asks it with SQL
plan export JOB [FILE|-]        writes it as CSV, Parquet or a manifest for S3 Batch Operations
plan --explain KEY --rules F    says which rule takes a key and why not the others; VERB SOURCE before it
                                has the object looked at, else only its name is known

Without rules keys are mapped as haul cp does. What rules make is appended to DESTINATION, which ends in a
slash or is a bucket; without one it is the source's bucket. Objects that no rule takes stop the job (exit 1),
unless the rules have a [fallback]. --include and --exclude see keys relative to SOURCE, rules see whole keys.
The same command again completes a plan that was interrupted and shows one that is finished; --new lists
again. haul apply carries it out.

The tables of --sql: plan (shard id action rule key version size modified etag storage_class destination wave
conflict present), journal (shard id phase at details) and outcome, which is both. --acl keep copies each
object's ACL. --accelerate is for what goes up or down: AWS has no accelerated copies between buckets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from haulyard.cli import flags, jobs, plan_options
from haulyard.cli.plan_options import FORMATS, TIERS, VERBS, Options

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from haulyard.cli.context import Context

EXAMPLES = (
    "haul plan move s3://demo/ s3://demo/sorted/ --exclude 'sorted/*' --job sorting",
    "haul plan show sorting --sql 'SELECT key, destination FROM plan'",
)


read = plan_options.read


def configure(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("action", nargs="?", choices=(*VERBS, "show", "export"), help="what to plan, or do")
    parser.add_argument("place", nargs="?", default="", metavar="SOURCE|JOB", help="what it is about")
    parser.add_argument("target", nargs="?", default="", metavar="DESTINATION|FILE", help="where it goes")
    parser.add_argument("--rules", default="", metavar="FILE", help="rules that say what goes where")
    parser.add_argument(
        "--job", default="", metavar="NAME", help="name of the job; else it follows from the rest"
    )
    parser.add_argument(
        "--new", action="store_true", help="list again; what has done something stays as NAME-1"
    )
    parser.add_argument("-r", "--recursive", action="store_true", help="what is below a prefix without slash")
    parser.add_argument("--flatten", action="store_true", help="drop directories, keep the last component")
    parser.add_argument(
        "--remove-tag", action="append", default=[], metavar="KEY", help="tag to remove, may be repeated"
    )
    parser.add_argument("--days", type=int, metavar="N", help="restore: how long the copies stay (1)")
    parser.add_argument(
        "--tier", default="", type=str.capitalize, choices=TIERS, help="restore: how fast (Standard)"
    )
    parser.add_argument("--prices", default="", metavar="FILE", help="prices of requests, instead of AWS's")
    parser.add_argument("--explain", default="", metavar="KEY", help="say which rule takes this key, and why")
    parser.add_argument("--sql", default="", metavar="QUERY", help="show: what to ask the plan")
    parser.add_argument(
        "--format", default="", choices=FORMATS, help="export: as what (else as FILE is called)"
    )
    flags.add(
        parser,
        flags.JOBS,
        flags.FILTERS,
        flags.MANIFEST,
        flags.RAW,
        flags.JOB_PROPERTIES,
        flags.CONNECTION,
        flags.SOURCE,
        flags.OUTPUT,
        flags.PROGRESS,
    )


async def run(options: Options, context: Context) -> int:
    """Plan, explain, show or export."""
    if options.action in {"show", "export"}:
        # Each imports what it needs: SQLite and all that lists, 80 ms that --help does not pay.
        from haulyard.cli import plan_show

        folder = jobs.open_job(options.place, context)
        if options.action == "show":
            return plan_show.show(folder, options.sql, context)
        return plan_show.export(folder, options.target or "-", options.format, context)
    from haulyard.cli import plan_make

    with plan_make.mistakes_told(context) as outcome:
        if options.explain:
            outcome.code = await plan_make.explain(options, context)
        else:
            outcome.code = await plan_make.make(options, context)
    return outcome.code


__all__ = ["EXAMPLES", "Options", "configure", "read", "run"]
