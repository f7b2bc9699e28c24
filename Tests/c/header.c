/* Compiles wherever stpn.h should: as C99 and as C++, included twice. */
#include "stpn.h"

int main(void)
{
    stpn_error error;
    stpn_cell cell;
    error.struct_size = sizeof error;
    return stpn_cell_init(&cell, STPN_CELL_STPN, &error) == STPN_OK ? 0 : 1;
}
