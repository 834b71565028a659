# Every target works on a machine that has only Python 3.11+, make and git.
PYTHON ?= python3
BOOTSTRAP = $(PYTHON) bootstrap.py

.PHONY: run fetch check-bars test lab lint notebooks proof bench clean

run:  ## train and report BTC, ETH and SOL
	$(BOOTSTRAP) run $(ARGS)

fetch:  ## get real bars into data/ (ARGS="--exchange coinbase --since 2024-01-01")
	$(BOOTSTRAP) fetch $(ARGS)

check-bars:  ## say what is in bar files (ARGS="FILE ...")
	$(BOOTSTRAP) check-bars $(ARGS)

test:  ## unit tests, a smoke run, and every notebook against its stored outputs
	$(BOOTSTRAP) test $(ARGS)

lab:  ## open the notebooks in JupyterLab
	$(BOOTSTRAP) lab $(ARGS)

lint:  ## ruff over code and notebooks, and the notebook rules
	$(BOOTSTRAP) lint

notebooks:  ## run the notebooks again with their smoke values and store the outputs
	$(BOOTSTRAP) notebooks

proof:  ## the long proof, about an hour; writes docs/proof.md (ARGS="--data DIR" for real bars)
	$(BOOTSTRAP) proof $(ARGS)

bench:  ## speed beside others; writes benchmarks/RESULTS.md (ARGS="--part latency")
	$(BOOTSTRAP) bench $(ARGS)

clean:  ## remove what can be made again; data/, reports/ and models/ stay
	$(PYTHON) bootstrap.py clean
