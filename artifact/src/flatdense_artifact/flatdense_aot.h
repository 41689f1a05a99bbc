/* The C interface of a compiled library.
 *
 * A library holds one network, 28x28 -> Dense(hidden, relu) -> Dense(classes, softmax), compiled by
 * XLA ahead of time for a ladder of batch sizes. The weights are arguments: one library serves every
 * trained version of its architecture. library.json beside it says which architecture, ladder and
 * processor that is.
 *
 * Nothing here checks its arguments: whoever opens the library has read library.json. */
#ifndef FLATDENSE_AOT_H_
#define FLATDENSE_AOT_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Grows when an old caller would misuse a new library. */
#define FLATDENSE_AOT_ABI 2

enum flatdense_dtype {
  FLATDENSE_UINT8 = 0,  /* 0..255, scaled inside the network */
  FLATDENSE_FLOAT32 = 1 /* already 0..1 */
};

/* One compiled batch size. One thread at a time may use it. */
typedef struct flatdense_network flatdense_network;

/* FLATDENSE_AOT_ABI as the library was compiled. */
int32_t flatdense_abi(void);

/* Opens the network for exactly `rows` rows of one type; NULL where none was compiled.
 *
 * It reads from buffers of the caller, which are row-major, aligned to 64 bytes, and must outlive
 * it: images [rows, 784] of its type at each run; and float32 weights that do not change:
 * hidden_kernel [784, hidden], hidden_bias [hidden], output_kernel [hidden, classes], output_bias
 * [classes]. Networks may share all of them. */
flatdense_network *flatdense_open(int32_t dtype, int64_t rows, const void *images,
                                  const float *hidden_kernel, const float *hidden_bias,
                                  const float *output_kernel, const float *output_bias);

/* Frees the network and its outputs. */
void flatdense_close(flatdense_network *network);

/* Computes the outputs from the images; 0 where it did. */
int32_t flatdense_run(flatdense_network *network);

/* The outputs of the last run, valid until the next one. */
const float *flatdense_probabilities(flatdense_network *network); /* [rows, classes] */
const int64_t *flatdense_classes(flatdense_network *network);     /* [rows] */
const float *flatdense_hidden(flatdense_network *network);        /* [rows, hidden] */

#ifdef __cplusplus
}
#endif

#endif /* FLATDENSE_AOT_H_ */
