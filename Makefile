# make demo: installs into .venv and runs the main job.   make test: installs and runs every check.
PYTHON ?= python3
RUN := .venv/bin
# The GUI tests need a screen: the user's own, or a virtual one.
SCREEN := $(if $(DISPLAY),,xvfb-run --auto-servernum --server-args="-screen 0 1600x1000x24")

# What `make train-all` makes anew; each takes 3 to 35 minutes on one core.
MODELS := line-mlp line-autoencoder element-mlp mineral-mlp maxrf-cnn maxrf-cnn-gem vit lt-vit mineral-cnn mineral-cnn-attention \
    mineral-cnn-bilstm pca vae painting-generator
WEIGHTS := src/napari_xrf/learning/weights

.PHONY: demo test lint tests tests-of-networks-and-window tests-of-the-rest test-slow test-pyside6 tour fuzz benchmarks network-tables train-all screenshots docs pages clean

demo: .venv/installed
	$(RUN)/napari-xrf demo $(if $(DISPLAY)$(WAYLAND_DISPLAY),,--headless)

test: lint tests

lint: .venv/installed
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy
	$(RUN)/npe2 validate src/napari_xrf/napari.yaml

tests: .venv/installed
	@[ -n "$(DISPLAY)" ] || command -v xvfb-run >/dev/null || { echo "make test: no screen; run: sudo apt-get install xvfb xauth" >&2; exit 1; }
	$(MAKE) --no-print-directory --jobs=2 tests-of-networks-and-window tests-of-the-rest

# Two halves at once, each on one core.
tests-of-networks-and-window: .venv/installed
	OMP_NUM_THREADS=1 $(SCREEN) $(RUN)/pytest -m "not slow" tests/learning tests/plugin

tests-of-the-rest: .venv/installed
	OMP_NUM_THREADS=1 $(RUN)/pytest -m "not slow" --ignore=tests/learning --ignore=tests/plugin

# The window's tests with the other Qt binding, in an environment of its own.
test-pyside6: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-pyside6
	.venv-pyside6/bin/pip install --quiet --constraint constraints.txt --editable ".[pyside6,test]"
	QT_API=pyside6 PYTEST_QT_API=pyside6 $(SCREEN) .venv-pyside6/bin/pytest tests/plugin -m "not slow"
	QT_API=pyside6 PYTEST_QT_API=pyside6 $(SCREEN) .venv-pyside6/bin/pytest tests/plugin/test_tour.py -m slow

# A user's whole walk through the window, by mouse and keys, with minerals and quantities.
tour: .venv/installed
	$(SCREEN) $(RUN)/pytest -m slow tests/plugin/test_tour.py

test-slow: .venv/installed
	$(SCREEN) $(RUN)/pytest -m slow

# Those that measure speed or accuracy without further files; some look for measured ones beside the clone.
BENCHMARKS := bcf_reading detector_speed element_maps hdf5_files synthesis_speed painting_generator
# Damaged files of every format, for an hour: what it finds is left in build/fuzz.
fuzz: .venv/installed
	$(RUN)/python -m benchmarks.fuzz_readers --inputs 1000000 --minutes 60 --seed $${SEED:-0}

benchmarks: .venv/installed
	for name in $(BENCHMARKS); do echo "== $$name"; $(RUN)/python -m benchmarks.$$name || exit 1; done

# The tables of docs/networks.md for the shipped weights, anew; the commands for other models stand there.
TABLES := lines gem minerals strangers code curves files speed
network-tables: .venv/installed
	for table in $(TABLES); do $(RUN)/python -m benchmarks.networks $$table --document docs/networks.md || exit 1; done

train-all: $(addprefix train-,$(MODELS))

train-%: .venv/installed
	$(RUN)/napari-xrf train $* --seed 0 --resume -o build/models/$*
	cp build/models/$*/model.safetensors $(WEIGHTS)/$*.safetensors
	cp build/models/$*/model-card.md $(WEIGHTS)/$*.md

screenshots: .venv/installed
	NAPARI_CONFIG=$$(mktemp -d)/settings.yaml $(SCREEN) $(RUN)/python -m docs.screenshots

.venv/installed: pyproject.toml constraints.txt .ci/set-up
	PYTHON=$(PYTHON) .ci/set-up

docs: .venv/installed
	$(RUN)/pip install --quiet --constraint constraints.txt --editable ".[docs]"
	$(RUN)/mkdocs build --strict

# Every block of the how-to pages, as a reader would run it.
pages: .venv/installed
	$(RUN)/python docs/run_pages.py

clean:
	rm -rf .venv demo-output build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
