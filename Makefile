# Two commands on a fresh machine: `make demo` and `make test`. Both make .venv when it is missing.
# Another interpreter: `make PYTHON=python3.12 test`. One core: `make WORKERS=1 test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo
# A file of tests stays on one worker, so that what its tests share is made once.
WORKERS ?= auto
PYTEST = -m pytest -n $(WORKERS) --maxprocesses 8 --dist loadfile

.PHONY: demo fuzz test test-long test-oldest test-newest lint types pages bench bench-measure bench-warp bench-stamps bench-blocks bench-networks bench-candels bench-transfer bench-envelope bench-rotation bench-engines bench-shares bench-colour bench-cigars bench-trunk bench-active bench-count bench-published bench-tables bench-ranges bench-ahead bench-match bench-map bench-similar bench-outliers bench-scale bench-features sheets cards clean
.PHONY: docs test-pythons bench-install bench-minutes

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/.tested: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	touch $@

$(VENV)/.benched: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	touch $@

$(VENV)/.documented: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	touch $@

# The site, with its notebooks and gallery executed, in docs/_build/html; opens no network. A warning is an error.
docs: $(VENV)/.documented
	OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -E -W --keep-going -b html docs docs/_build/html

demo: $(VENV)/.installed
	mkdir -p $(DEMO)
	$(BIN)/galmorph classify catalogs/samples/candels-h/catalog.fits \
	    --image catalogs/samples/candels-h/image.fits.gz --weight catalogs/samples/candels-h/weight.fits.gz \
	    --survey candels --band H -o $(DEMO)/candels-h.fits --report $(DEMO)/report --overwrite
	@$(BIN)/python -c "from astropy.table import Table; t = Table.read('$(DEMO)/candels-h.fits'); \
	    t['id', 'gm_class', 'gm_conf', 'gm_p_spheroid', 'gm_p_disk', 'gm_racen', 'gm_deccen', 'gm_rpet', 'gm_snr', 'gm_flags'][:8].pprint(max_width=160)"
	@echo "all rows: $(DEMO)/candels-h.fits; report: $(DEMO)/report/index.html"

# Where the environment forbids to keep bytecode, each worker and each process that a test starts would compile all anew.
test test-long test-oldest test-newest test-pythons: export PYTHONDONTWRITEBYTECODE =

test: $(VENV)/.tested
	$(BIN)/ruff check galmorph tests docs/*.py docs/examples
	$(BIN)/ruff format --check galmorph tests docs/*.py docs/examples
	$(BIN)/mypy
	$(BIN)/python $(PYTEST) -m "not long"

# All tests, with the long ones, and which lines of the package they run. Coverage costs 27 % of the processor's time
# where Python has no sys.monitoring (before 3.12), which is why `make test` does without.
test-long: $(VENV)/.tested $(VENV)/.documented
	$(BIN)/python $(PYTEST) --cov --cov-report=term

# The oldest and the newest releases that pyproject.toml allows, each in a virtual environment of its own.
test-oldest: $(VENV)-oldest/.tested
	$(VENV)-oldest/bin/python $(PYTEST) -m "not long"

test-newest: $(VENV)-newest/.tested
	$(VENV)-newest/bin/python $(PYTEST) -m "not long"

# The tests with every Python from 3.11 that is on PATH, each in a virtual environment of its own; others are named.
PYTHONS ?= 3.11 3.12 3.13 3.14
test-pythons:
	@for version in $(PYTHONS); do \
	    if ! python$$version -c "" 2>/dev/null; then echo "python$$version: does not run here, not tried"; continue; fi; \
	    echo "python$$version"; \
	    $(MAKE) --no-print-directory PYTHON=python$$version VENV=$(VENV)-$$version $(VENV)-$$version/.tested || exit 1; \
	    $(VENV)-$$version/bin/python $(PYTEST) -m "not long" || exit 1; \
	done

$(VENV)-oldest/.tested: pyproject.toml constraints-oldest.txt
	$(PYTHON) -m venv $(VENV)-oldest
	$(VENV)-oldest/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-oldest.txt -e '.[test]'
	touch $@

$(VENV)-newest/.tested: pyproject.toml
	$(PYTHON) -m venv $(VENV)-newest
	$(VENV)-newest/bin/python -m pip install --quiet --disable-pip-version-check --upgrade torch==2.13.0 -e '.[test]'
	touch $@

# Ten minutes of damaged inputs; another SEED makes others. What fails is put into FINDS.
SEED ?= 0
FINDS ?= fuzz-finds
fuzz: $(VENV)/.tested
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz --minutes 10 --count 1000000 --seed $(SEED) --finds $(FINDS)

lint: $(VENV)/.tested
	$(BIN)/ruff check --fix galmorph tests docs/*.py docs/examples
	$(BIN)/ruff format galmorph tests docs/*.py docs/examples

types: $(VENV)/.tested
	$(BIN)/mypy

bench: $(VENV)/.tested
	$(BIN)/python tests/benchmarks/bench_classify.py

bench-measure: $(VENV)/.benched
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_measure.py

bench-warp: $(VENV)/.benched
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_warp.py

bench-stamps: $(VENV)/.benched
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_stamps.py

bench-blocks: $(VENV)/.benched
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_blocks.py

bench-rotation: $(VENV)/.tested
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_rotation.py

bench-engines: $(VENV)/.tested
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_engines.py

bench-tables: $(VENV)/.tested
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_tables.py

bench-ranges: $(VENV)/.tested
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_ranges.py

bench-install: $(VENV)/.tested $(VENV)/.documented $(VENV)/.benched
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[all]'
	$(BIN)/python tests/benchmarks/bench_install.py

bench-minutes: $(VENV)/.installed
	$(BIN)/python tests/benchmarks/bench_minutes.py

bench-ahead: $(VENV)/.tested
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_ahead.py

bench-match: $(VENV)/.tested
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_match.py

bench-map: $(VENV)/.tested
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_map.py

bench-scale: $(VENV)/.benched
	$(BIN)/python tests/benchmarks/bench_scale.py

.PHONY: bench-report
bench-report: $(VENV)/.tested
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_report.py
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_report.py picture

bench-shares: $(VENV)/.tested
	for fold in 0 1 2 3 4; do OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_shares.py fold $$fold || exit 1; done
	$(BIN)/python tests/benchmarks/bench_shares.py report

bench-colour: $(VENV)/.tested
	$(BIN)/python tests/benchmarks/bench_colour.py join
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_colour.py report

bench-cigars: $(VENV)/.tested
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_cigars.py

bench-trunk: $(VENV)/.tested
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_trunk.py

bench-similar: $(VENV)/.benched
	OMP_NUM_THREADS=2 $(BIN)/python tests/benchmarks/bench_similar.py

bench-outliers: $(VENV)/.benched
	OMP_NUM_THREADS=2 $(BIN)/python tests/benchmarks/bench_outliers.py

bench-active: $(VENV)/.tested
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_active.py

bench-count: $(VENV)/.tested
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_count.py

bench-published: $(VENV)/.tested
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_published.py strings
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_published.py challenge --epochs 8

bench-networks: $(VENV)/.tested
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_networks.py

bench-features: $(VENV)/.tested
	for stage in stamps convnet imagenet kmeans learnt run report; do \
	    OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_features.py $$stage || exit 1; done

bench-candels: $(VENV)/.tested
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_candels.py --card catalogs/checkpoints/candels-h.json

bench-transfer: $(VENV)/.tested
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_transfer.py

bench-envelope: $(VENV)/.tested
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_envelope.py

# Real stamps and labels, which are not part of galmorph (see docs/inspect.md).
STAMPS ?= ../shared/data
PAGE = $(BIN)/galmorph inspect --split test --pictures simulated --overwrite -o docs/checkpoints

pages: $(VENV)/.tested
	$(PAGE) --card catalogs/checkpoints/sdss-rgb.json sdss-rgb $(STAMPS)/sdss_gz2/labels.csv --image $(STAMPS)/sdss_gz2/images.zip
	$(BIN)/python tests/benchmarks/bench_colour.py join
	$(PAGE) --card catalogs/checkpoints/sdss-gz2.json sdss-gz2 runs/colour/votes.csv --image runs/colour/images.zip
	$(PAGE) --card catalogs/checkpoints/sdss-gz1.json sdss-gz1 $(STAMPS)/sdss_gz1/labels.csv --image $(STAMPS)/sdss_gz1/images.zip
	$(PAGE) --card catalogs/checkpoints/nircam-f200w.json nircam-f200w $(STAMPS)/ceers_f200w/votes.csv --image $(STAMPS)/ceers_f200w/images.zip
	$(PAGE) --card catalogs/checkpoints/candels-h.json candels-h $(STAMPS)/candels_h_stamps/catalog.csv --image '$(STAMPS)/candels_h_stamps/*.fits.gz'

# Scores of the parts that were kept from the training, for cards: galmorph count needs what they say of each class.
SCORE = $(BIN)/galmorph evaluate --json

cards: $(VENV)/.tested
	$(BIN)/python tests/benchmarks/bench_colour.py join
	for part in validation test; do \
	    $(SCORE) --split $$part --card catalogs/checkpoints/sdss-rgb.json sdss-rgb $(STAMPS)/sdss_gz2/labels.csv --image $(STAMPS)/sdss_gz2/images.zip && \
	    $(SCORE) --split $$part --card catalogs/checkpoints/sdss-gz2.json sdss-gz2 runs/colour/votes.csv --image runs/colour/images.zip && \
	    $(SCORE) --split $$part --card catalogs/checkpoints/sdss-gz1.json sdss-gz1 $(STAMPS)/sdss_gz1/labels.csv --image $(STAMPS)/sdss_gz1/images.zip && \
	    $(SCORE) --split $$part --card catalogs/checkpoints/nircam-f200w.json nircam-f200w $(STAMPS)/ceers_f200w/votes.csv --image $(STAMPS)/ceers_f200w/images.zip && \
	    $(SCORE) --split $$part --card catalogs/checkpoints/candels-h.json candels-h $(STAMPS)/candels_h_stamps/catalog.csv --image '$(STAMPS)/candels_h_stamps/*.fits.gz' \
	    || exit 1; done

# Pages with real pixels, to look at (docs/inspect.md).
sheets: $(VENV)/.tested
	OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/real_sheets.py --out runs/sheets

clean:
	rm -rf $(VENV) $(VENV)-oldest $(VENV)-newest $(addprefix $(VENV)-,$(PYTHONS)) $(DEMO) docs/_build docs/api docs/gallery .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis
