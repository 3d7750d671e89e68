# Every command a person types stands here; `make help` lists them.
# NPS_DATA_DIR holds all state (default data/); NPS_CONFIG_DIR holds the configuration (default: this folder).

SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
NPS := $(BIN)/python -m orchestration

.PHONY: help setup demo run extract compact dev dashboard test test-superset spark test-spark test-spark-cluster postgres test-postgres lint lint-python as-known publish rollback export report docs superset forget dbt mf bench summary example-carpentries sample lock clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-22s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.installed ## install everything, pinned, into .venv

# uv comes from the machine, or into this .venv when the machine has none.
.venv/.installed: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@command -v uv >/dev/null || test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet uv
	@echo "Installing the pinned packages into .venv ..."
	@UV=$$(command -v uv || echo $(BIN)/uv); $$UV pip install --quiet --compile-bytecode --python $(BIN)/python -r requirements.txt
	@touch $@

demo: setup ## load the sample company, run the whole pipeline, show the result
	@$(NPS) demo

run: setup $(if $(filter spark,$(TARGET)),.spark/.installed) ## run the pipeline over your own files in data/landing [TARGET=spark]
	@$(if $(TARGET),NPS_TARGET=$(TARGET)) $(NPS) run

extract: setup ## bring what is new in the vendors' APIs into data/landing: make extract SOURCES=delighted [FROM=… TO=…]
	@$(NPS) extract $(SOURCES) $(if $(FROM),--from $(FROM)) $(if $(TO),--to $(TO))

compact: setup ## put the many small loads of the lake together into few large files; nothing else changes
	@$(NPS) compact

dev: setup ## open Dagster on 127.0.0.1:3000
	@$(NPS) dev

dashboard: setup ## open the dashboard on 127.0.0.1:8501
	@$(NPS) dashboard

summary: setup ## show the last published result again
	@$(NPS) summary

as-known: setup ## build what was known on a past day, into a file of its own: make as-known AT=2025-03-31
	@$(NPS) as-known "$(AT)"

publish: setup ## push the published tables to another database: make publish TO=postgres (NPS_POSTGRES says where)
	@$(NPS) publish --to "$(TO)"

rollback: setup ## show the publication before again: make rollback [TO=<publication id>]
	@$(NPS) rollback $(TO)

export: setup ## write a file for others: make export OWNER=<owner_id> (with all who report to them), or OUTSIDE=1
	@$(if $(OWNER)$(OUTSIDE),,echo "For whom? make export OWNER=<owner_id>, or OUTSIDE=1"; exit 2)
	@$(NPS) export $(if $(OWNER),--owner "$(OWNER)") $(if $(OUTSIDE),--outside) $(if $(TO),--to "$(TO)")

report: setup ## write an owner's page for a staff meeting, ready to print: make report OWNER=<owner_id> [TO=<file>]
	@$(if $(OWNER),,echo "Whose? make report OWNER=<owner_id>; marts.dim_owners lists them"; exit 2)
	@$(NPS) report "$(OWNER)" $(if $(TO),--to "$(TO)")

docs: setup ## build the documentation as a site that needs no network: data/docs/site/index.html
	@$(NPS) docs

superset: setup ## write the import bundle for Apache Superset: make superset [AT=<path of the published file there>] [TO=<file>]
	@$(NPS) superset $(if $(AT),--at "$(AT)") $(if $(TO),--to "$(TO)")

forget: setup ## erase a person from everything that is kept: make forget PERSON=<e-mail, key or contact_id>
	@$(if $(PERSON),,echo "Whom? make forget PERSON=<e-mail, key or contact_id>"; exit 2)
	@$(NPS) forget "$(PERSON)"

dbt: setup ## run dbt with this project's settings: make dbt ARGS="build -s fct_nps_responses"
	@$(NPS) dbt $(ARGS)

mf: setup ## ask MetricFlow: make mf ARGS="query --metrics nps --group-by survey__survey_type,metric_time__quarter"
	@$(NPS) mf $(ARGS)

example-carpentries: setup ## run a real survey: make example-carpentries DIR=<folder with the two csv files>
	@$(NPS) example carpentries "$(DIR)"

lint: setup lint-python ## ruff, mypy, and sqlfluff, which takes minutes
	@$(NPS) sqlfluff

lint-python: setup
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

test: setup ## lint the Python, and run every test; dbt's own tests run inside the pipeline tests
	@$(MAKE) --no-print-directory -j 2 lint-python pytest

# Files in the order they stand: by number of tests, the few long runs would come last and alone.
pytest: setup
	@$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder --durations 30

test-superset: setup .superset/.installed ## import the bundle into a real Superset, in an environment of its own, and compare
	@NPS_SUPERSET=.superset/bin $(BIN)/pytest tests/superset

.superset/.installed: bi/superset-requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' \
		|| { echo "Superset needs Python 3.10 to 3.12; set PYTHON=/path/to/python3.11"; exit 1; }
	@test -x .superset/bin/python || $(PYTHON) -m venv .superset
	@echo "Installing Superset into .superset ..."
	@UV=$$(command -v uv || echo $(BIN)/uv); $$UV pip install --quiet --python .superset/bin/python -r bi/superset-requirements.txt
	@touch $@

spark: .spark/.installed ## build every model on Spark from the same lake (needs Java 17): make spark [ARGS=<dbt command>]
	@.spark/bin/python -m orchestration.spark $(ARGS)

test-spark: setup .spark/.installed ## build five batches on Spark, one of them interrupted, and on DuckDB, and compare (needs Java 17)
	@NPS_SPARK=.spark/bin $(BIN)/pytest tests/spark/test_spark.py

test-spark-cluster: setup .spark/.installed ## build on a Spark cluster that loses a worker meanwhile, then a batch, and compare (needs Java 17)
	@NPS_SPARK=.spark/bin $(BIN)/pytest tests/spark/test_cluster.py

postgres: setup ## build every model on PostgreSQL from the same lake (PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE)
	@$(BIN)/python -m orchestration.postgres_build $(ARGS)

test-postgres: setup ## build two batches on PostgreSQL, started by the test, and on DuckDB, and compare
	@NPS_TEST_POSTGRES=1 $(BIN)/pytest tests/postgres

.spark/.installed: spark-requirements.txt
	@java -version 2>/dev/null || { echo "Spark needs Java 17: install it, or set JAVA_HOME and PATH"; exit 1; }
	@test -x .spark/bin/python || $(PYTHON) -m venv .spark
	@echo "Installing Spark into .spark ..."
	@UV=$$(command -v uv || echo $(BIN)/uv); $$UV pip install --quiet --python .spark/bin/python -r spark-requirements.txt
	@touch $@

bench: setup ## measure loading and building against plain DuckDB: make bench ANSWERS=1_000_000 [ONLY=loading|themes|engines]
	@$(BIN)/python -m benchmarks.bench --answers $(or $(ANSWERS),1_000_000) $(addprefix --only-,$(ONLY))

sample: setup ## make the sample company again (deterministic)
	@$(BIN)/python -m seeds.generate --out seeds/raw

lock: setup ## pin new versions into requirements.txt, without addresses
	@UV=$$(command -v uv || echo $(BIN)/uv); $$UV pip compile --quiet --universal --group dev \
		--no-emit-index-url --no-emit-find-links --no-header --upgrade pyproject.toml -o requirements.txt; \
	$$UV pip compile --quiet --universal --python-version 3.11 \
		--no-emit-index-url --no-emit-find-links --no-header --upgrade bi/superset-requirements.in -o bi/superset-requirements.txt; \
	$$UV pip compile --quiet --universal --python-version 3.11 \
		--no-emit-index-url --no-emit-find-links --no-header --upgrade spark-requirements.in -o spark-requirements.txt

clean: ## remove all state: data/
	rm -rf $${NPS_DATA_DIR:-data} dbt_project/.reference
