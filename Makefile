# Everyday commands: `make help` lists them. Everything that is built lies in BUILD and is made anew after `make clean`.
.DEFAULT_GOAL := help
SHELL := /bin/sh
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

BUILD ?= build
NGINX_SRC ?= /usr/share/nginx/src
NGINX ?= /usr/sbin/nginx
MODULES_DIR ?= /usr/lib/nginx/modules
SECONDS ?= 60
# What is handed to prove: `make test ARGS=-v TESTS=t/login.t`.
ARGS ?=
TESTS ?=

ifeq ($(origin CC),default)
CC := gcc
endif
ifeq ($(origin CXX),default)
CXX := g++
endif
CC_OPT ?= -O2 -g -fstack-protector-strong -D_FORTIFY_SOURCE=2 -Wformat -Werror=format-security
LD_OPT ?= -Wl,-z,relro -Wl,-z,now
CXXFLAGS ?= -O1 -g
LDFLAGS ?=

out := $(abspath $(BUILD))
module := $(BUILD)/ngx_http_auth_oidc_module.so
sources := $(sort $(wildcard src/oidc/*.cpp src/ngx/*.cpp))
node_dir ?= $(out)/node
# Test vectors that are not part of the project: used where they lie beside it.
WYCHEPROOF ?= $(abspath $(wildcard ../shared/corpus/wycheproof))
prove := WYCHEPROOF=$(WYCHEPROOF) OIDC_MODULE=$(out)/ngx_http_auth_oidc_module.so OIDC_NODE=$(node_dir) PERL5LIB=$(abspath t/lib) CMOCKA_MESSAGE_OUTPUT=TAP OIDC_BUILD=$(out) prove -j2 --harness OIDC::Harness
# As many compilers as there are processors, unless the caller said -j himself.
jobs = $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc))

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: deps
FOR ?= module unit test check sanitize fuzz bench
deps: ## install the Debian packages that all targets need (FOR="module test": only theirs)
	@pkg/deps install $(FOR)

# ---- the module ----

.PHONY: module
module: ## build build/ngx_http_auth_oidc_module.so against nginx's headers
	@pkg/deps require module
	@$(MAKE) $(out)/nginx/Makefile
	@$(MAKE) $(jobs) -s -C $(NGINX_SRC) -f $(out)/nginx/Makefile modules
	@ln -f $(out)/nginx/ngx_http_auth_oidc_module.so $(module)

# nginx's makefile names every source: a file that came or went, or other flags, mean to configure again.
$(out)/nginx/Makefile: config config.make pkg/configure $(BUILD)/settings
	@echo "configuring nginx from $(NGINX_SRC)"
	@pkg/configure '$(NGINX_SRC)' '$(out)/nginx' '$(CC)' '$(CC_OPT)' '$(LD_OPT)'

settings = $(NGINX_SRC) $(CC) $(CC_OPT) $(LD_OPT) $(sources)
$(BUILD)/settings: FORCE
	@mkdir -p $(BUILD)
	@echo '$(settings)' | cmp -s - $@ || echo '$(settings)' > $@
FORCE:

.PHONY: install
install: module ## copy the module to where nginx looks for modules (DESTDIR and MODULES_DIR apply)
	install -D -m 644 $(module) $(DESTDIR)$(MODULES_DIR)/ngx_http_auth_oidc_module.so

# ---- the pure core, without nginx and curl ----

warnings := -Wall -Wextra -Werror
# t/tools/forbidden shadows the headers that src/oidc must not see: to include one is an error of the compiler.
core_flags = -std=c++17 $(warnings) $(CXXFLAGS) -It/tools/forbidden -Isrc -MMD -MP
core_libs := -ljose -ljansson -lcrypto -lz
core_objects := $(patsubst src/oidc/%.cpp,$(BUILD)/unit/oidc/%.o,$(sort $(wildcard src/oidc/*.cpp)))
unit_programs := $(patsubst t/unit/%.cpp,$(BUILD)/unit/%,$(sort $(wildcard t/unit/test_*.cpp)))
replay_programs := $(patsubst t/fuzz/%.cpp,$(BUILD)/replay/%,$(sort $(wildcard t/fuzz/fuzz_*.cpp)))
# Anything else beside the tests is shared by them.
unit_helpers := $(patsubst t/unit/%.cpp,$(BUILD)/unit/%.o,$(sort $(filter-out t/unit/test_%,$(wildcard t/unit/*.cpp))))

.PHONY: unit
unit: unit-programs ## build and run the unit tests of src/oidc
	@$(prove) $(ARGS) $(unit_programs)

.PHONY: unit-programs
unit-programs:
	@pkg/deps require unit
	@$(MAKE) $(jobs) -s $(unit_programs)

$(BUILD)/unit/oidc/%.o: src/oidc/%.cpp
	@mkdir -p $(@D)
	$(CXX) $(core_flags) -c -o $@ $<

$(BUILD)/unit/liboidc.a: $(core_objects)
	@rm -f $@
	ar rcs $@ $^

$(BUILD)/unit/%.o: t/unit/%.cpp
	@mkdir -p $(@D)
	$(CXX) $(core_flags) -c -o $@ $<

$(unit_programs): $(BUILD)/unit/%: $(BUILD)/unit/%.o $(unit_helpers) $(BUILD)/unit/liboidc.a
	$(CXX) $(CXXFLAGS) $(LDFLAGS) -o $@ $^ $(core_libs) -lcmocka

.PHONY: fuzz-replay
fuzz-replay: replay-programs ## run the fuzzers' collected inputs once (no clang needed)
	@$(prove) $(ARGS) $(replay_programs)

.PHONY: replay-programs
replay-programs:
	@pkg/deps require unit
	@$(MAKE) $(jobs) -s $(replay_programs)

$(BUILD)/replay/%.o: t/fuzz/%.cpp
	@mkdir -p $(@D)
	$(CXX) $(core_flags) -c -o $@ $<

$(BUILD)/replay/replay.o: t/tools/replay.cpp
	@mkdir -p $(@D)
	$(CXX) $(core_flags) -c -o $@ $<

$(replay_programs): $(BUILD)/replay/%: $(BUILD)/replay/%.o $(BUILD)/replay/replay.o $(BUILD)/unit/liboidc.a
	$(CXX) $(CXXFLAGS) $(LDFLAGS) -o $@ $^ $(core_libs)

-include $(wildcard $(BUILD)/unit/oidc/*.d $(BUILD)/unit/*.d $(BUILD)/replay/*.d)

# ---- tests ----

node := $(node_dir)/node_modules/.package-lock.json
$(node): t/tools/node/package.json t/tools/node/package-lock.json
	@mkdir -p $(node_dir)
	@cp t/tools/node/package.json t/tools/node/package-lock.json $(node_dir)/
	@echo "installing the provider and the browser's driver"
	@cd $(node_dir) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

all_tests = $(unit_programs) $(replay_programs) $(sort $(wildcard t/*.t t/real/*.t t/browser/*.t))

.PHONY: test
test: ## install what is missing, build, and run every test (TESTS=t/x.t ARGS=-v to choose)
	@pkg/deps install test
	@$(MAKE) module
	@$(MAKE) unit-programs
	@$(MAKE) replay-programs
	@$(MAKE) -s $(node)
	@$(MAKE) run-tests

# What `test` runs once everything is there; `sanitize` runs the same with other programs.
.PHONY: run-tests
run-tests:
	@$(prove) $(ARGS) $(or $(TESTS),$(all_tests))

# ---- other releases of nginx ----

# What runs on each release: all that needs a server on Debian 13's, and on the newest one the main flow. Its binary brings newer
# libraries along, so that an upgrade in place has no program to start.
tests_on_trixie = $(sort $(wildcard t/*.t t/real/*.t))
tests_on_sid = t/lib.t t/conf.t t/login.t t/callback.t t/logout.t t/zone.t t/set_header.t

.PHONY: test-all
test-all: test ## `test`, then Keycloak and Firefox, the regression tests on Debian 13's nginx, and the main ones on sid's
	@pkg/deps install test-all
	@$(MAKE) run-tests TESTS='$(sort $(wildcard t/more/*.t))'
	@for suite in trixie sid; do $(MAKE) test-on SUITE=$$suite || exit 1; done

.PHONY: test-on
test-on:
	@t/tools/nginx-of $(SUITE) $(out)/$(SUITE)
	@$(MAKE) module BUILD=$(BUILD)/$(SUITE)/module NGINX_SRC=$(out)/$(SUITE)/usr/share/nginx/src
	@OIDC_NGINX=$(out)/$(SUITE)/nginx $(MAKE) run-tests BUILD=$(BUILD)/$(SUITE)/module node_dir=$(node_dir) TESTS='$(or $(TESTS),$(tests_on_$(SUITE)))'

# ---- more thorough ----

formatted = $(wildcard src/*/*.cpp src/*/*.hpp t/unit/*.cpp t/unit/*.hpp t/fuzz/*.cpp t/tools/*.cpp)
# Relative to where nginx's sources are, as its own makefile has them.
nginx_includes = $(shell sed -n '/^ALL_INCS/,/^$$/p' $(out)/nginx/Makefile 2>/dev/null | tr -d '\\\n' \
    | sed 's/ALL_INCS = //; s/-I *\([^\/ ]\)/-isystem $(subst /,\/,$(NGINX_SRC))\/\1/g; s/-I \// -isystem \//g')

.PHONY: check
check: ## check the form: format, clang-tidy, cppcheck, and guards for what is easily forgotten
	@pkg/deps require check
	@$(MAKE) module
	clang-format --dry-run -Werror $(formatted)
	@$(prove) $(ARGS) $(sort $(wildcard t/guards/*.t))
	cppcheck -q --std=c++17 --language=c++ --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
	    --suppress=missingInclude --suppress=unknownMacro -Isrc src/oidc src/ngx
	@echo clang-tidy $(sources)
	@printf '%s\n' $(sources) | xargs -P $(shell nproc) -n 3 sh -c 'clang-tidy --quiet "$$@" -- \
	    -std=c++17 -Isrc $(nginx_includes) 2>&1 | grep -vE "^[0-9]+ warnings? (generated|treated)|^Suppressed|^Use -header" >&2; \
	    test $$? -eq 1' tidy

.PHONY: format
format: ## bring the sources into the form that check demands
	@pkg/deps require check
	clang-format -i $(formatted)

# gcc sees uninitialised values in its own library once sanitizers are in.
sanitizers := -fsanitize=address,undefined -fno-omit-frame-pointer -Wno-maybe-uninitialized
# The tests that walk the main flow; valgrind is too slow for all of them.
VALGRIND_TESTS ?= t/login.t
sanitized = BUILD=$(BUILD)/sanitize node_dir=$(out)/node

.PHONY: sanitize
sanitize: ## run all tests with ASan and UBSan in nginx and module, then the main flow under valgrind
	@pkg/deps require sanitize
	@t/tools/nginx-with-sanitizers $(out)/sanitize/debian '$(CC)' '$(sanitizers)'
	@$(MAKE) module $(sanitized) LD_OPT='$(sanitizers)' CC_OPT='-g -O1 $(sanitizers) -DNGX_DEBUG_PALLOC=1'
	@$(MAKE) unit-programs replay-programs $(sanitized) CXXFLAGS='-g -O1 $(sanitizers) -fno-sanitize-recover=all'
	@$(MAKE) -s $(node)
	@OIDC_NGINX=$(out)/sanitize/debian/nginx OIDC_PATIENCE=60 $(MAKE) run-tests $(sanitized)
	@$(MAKE) module
	@OIDC_VALGRIND=1 $(MAKE) run-tests TESTS='$(VALGRIND_TESTS)'

fuzz_programs := $(patsubst t/fuzz/%.cpp,$(BUILD)/fuzz/%,$(sort $(wildcard t/fuzz/fuzz_*.cpp)))
fuzz_flags := -g -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all

.PHONY: fuzz
fuzz: ## let libFuzzer look for inputs that break a parser, SECONDS=60 for each
	@pkg/deps require fuzz
	@$(MAKE) $(jobs) -s fuzz-programs CXX=clang++ CXXFLAGS='$(fuzz_flags)' BUILD=$(BUILD)/fuzzing
	@for target in $(notdir $(fuzz_programs)); do \
	    corpus=$${target#fuzz_}; \
	    echo "$$target for $(SECONDS) seconds"; \
	    mkdir -p $(BUILD)/fuzzing/corpus/$$corpus; \
	    $(BUILD)/fuzzing/fuzz/$$target -max_total_time=$(SECONDS) -max_len=70000 -timeout=10 -verbosity=0 -print_final_stats=1 \
	        -artifact_prefix=$(BUILD)/fuzzing/$$target- $(BUILD)/fuzzing/corpus/$$corpus t/fuzz/corpus/$$corpus || exit 1; \
	done

.PHONY: fuzz-programs
fuzz-programs: $(fuzz_programs)

$(fuzz_programs): $(BUILD)/fuzz/%: $(BUILD)/replay/%.o $(BUILD)/unit/liboidc.a
	@mkdir -p $(@D)
	$(CXX) $(CXXFLAGS) -fsanitize=fuzzer -o $@ $^ $(core_libs)

.PHONY: bench
bench: ## measure against plain nginx, as ratios and as instructions for a request
	@pkg/deps require bench
	@$(MAKE) module
	@OIDC_MODULE=$(out)/ngx_http_auth_oidc_module.so OIDC_BUILD=$(out) bench/run $(ARGS)

# ---- to look at ----

.PHONY: demo
demo: ## install what is missing, build, and show a sign-in with a real provider on this machine
	@pkg/deps install demo
	@$(MAKE) module
	@$(MAKE) -s $(node)
	@OIDC_BUILD=$(out) OIDC_NODE=$(node_dir) pkg/demo start

.PHONY: demo-streamlit
demo-streamlit: ## the same with a Streamlit application, which it installs in the build folder
	@pkg/deps install demo-streamlit
	@$(MAKE) module
	@$(MAKE) -s $(node)
	@OIDC_BUILD=$(out) OIDC_NODE=$(node_dir) pkg/demo start-streamlit

.PHONY: demo-stop
demo-stop: ## stop what `make demo` left running
	@OIDC_BUILD=$(out) pkg/demo stop

.PHONY: clean
clean: ## remove everything that was built
	@test ! -d $(BUILD)/demo || OIDC_BUILD=$(out) pkg/demo stop
	rm -rf $(BUILD)
