"""A paper's table: its rows, running them, collecting them, drawing them."""

from genmodels.tables.budgets import BUDGETS, budget_of
from genmodels.tables.collect import collect
from genmodels.tables.definition import Table, chosen, load_table, tables_in
from genmodels.tables.markdown import in_markdown
from genmodels.tables.plan import has_changed, jobs_of
from genmodels.tables.plot import draw
from genmodels.tables.running import Asked, run_jobs
