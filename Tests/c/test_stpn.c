/* Tests of the library through stpn.h alone: test_stpn CASES, where CASES is what make_cases.py wrote. */
#include <stdio.h>

#include "check.h"
#include "tests.h"

int main(int argc, char **argv)
{
    if (argc != 2)
        fatal("usage: %s CASES", argv[0]);
    test_environment();
    test_constants();
    test_descriptions();
    test_golden(argv[1]);
    test_sizes();
    test_contract();
    test_threads();
    test_refusals();
    return test_summary();
}
