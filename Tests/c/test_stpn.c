/* Tests of the library through stpn.h alone: test_stpn CASES, where CASES is what make_cases.py wrote. */
#include <stdio.h>

#include "check.h"
#include "tests.h"

const char *const some_cells[SOME_CELLS] = {
    "stpn",
    ("stpn plastic=hidden plasticity_shape=presynaptic normalize=post norm_axis=layer norm_gain=1 "
     "decay=prompt "
     "rule=oja presynaptic=current clamp=0.5 plastic_bias=1 layer_norm=1"),
    "stpn recurrent=0 plasticity_shape=scalar normalize=output activation=relu bias=0",
    "hebbff",
    "fast_weights inner_steps=2",
    "modulated kind=modul",
};

int main(int argc, char **argv)
{
    if (argc != 2)
        fatal("usage: %s CASES", argv[0]);
    test_environment();
    test_constants();
    test_options();
    test_descriptions();
    test_golden(argv[1]);
    test_sizes();
    test_long_sequences();
    test_contract();
    test_threads();
    test_refusals();
    return test_summary();
}
