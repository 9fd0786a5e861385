/* A bare timing loop over libLiteRt.so's C API, one thread: what a harness in C would measure.
 *
 * Usage: c_loop MODEL.tflite. Reads a number of runs a line from stdin, answers each with the runs' times in seconds on
 * one line. The library ships no headers; the few functions are declared here as ai-edge-litert 2.3 has them. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef void *Handle;
extern int LiteRtCreateEnvironment(int, const void *, Handle *);
extern int LiteRtCreateModelFromFile(Handle, const char *, Handle *);
extern int LiteRtCreateOptions(Handle *);
extern int LiteRtSetOptionsHardwareAccelerators(Handle, int);
extern int LiteRtCreateCompiledModel(Handle, Handle, Handle, Handle *);
extern int LiteRtGetModelSubgraph(Handle, size_t, Handle *);
extern int LiteRtGetSubgraphInput(Handle, size_t, Handle *);
extern int LiteRtGetSubgraphOutput(Handle, size_t, Handle *);
extern int LiteRtGetRankedTensorType(Handle, void *);
extern int LiteRtGetCompiledModelInputBufferRequirements(Handle, size_t, size_t, Handle *);
extern int LiteRtGetCompiledModelOutputBufferRequirements(Handle, size_t, size_t, Handle *);
extern int LiteRtCreateManagedTensorBufferFromRequirements(Handle, const void *, Handle, Handle *);
extern int LiteRtRunCompiledModel(Handle, size_t, size_t, Handle *, size_t, Handle *);

static void check(int status, const char *what) {
  if (status == 0) return;
  fprintf(stderr, "%s failed with status %d\n", what, status);
  exit(1);
}

static double now_s(void) {
  struct timespec moment;
  clock_gettime(CLOCK_MONOTONIC, &moment);
  return moment.tv_sec + moment.tv_nsec / 1e9;
}

int main(int count, char **words) {
  Handle environment, model, options, compiled, subgraph, tensor, needs, input, output;
  char tensor_type[128]; /* 72 bytes in 2.3.0 */
  if (count != 2) return 2;
  check(LiteRtCreateEnvironment(0, NULL, &environment), "environment");
  check(LiteRtCreateModelFromFile(environment, words[1], &model), "model");
  check(LiteRtCreateOptions(&options), "options");
  check(LiteRtSetOptionsHardwareAccelerators(options, 1), "accelerator");
  check(LiteRtCreateCompiledModel(environment, model, options, &compiled), "compile");
  check(LiteRtGetModelSubgraph(model, 0, &subgraph), "subgraph");

  check(LiteRtGetSubgraphInput(subgraph, 0, &tensor), "input");
  check(LiteRtGetRankedTensorType(tensor, tensor_type), "input type");
  check(LiteRtGetCompiledModelInputBufferRequirements(compiled, 0, 0, &needs), "input needs");
  check(LiteRtCreateManagedTensorBufferFromRequirements(environment, tensor_type, needs, &input), "input buffer");
  check(LiteRtGetSubgraphOutput(subgraph, 0, &tensor), "output");
  check(LiteRtGetRankedTensorType(tensor, tensor_type), "output type");
  check(LiteRtGetCompiledModelOutputBufferRequirements(compiled, 0, 0, &needs), "output needs");
  check(LiteRtCreateManagedTensorBufferFromRequirements(environment, tensor_type, needs, &output), "output buffer");

  int runs;
  while (scanf("%d", &runs) == 1) {
    for (int run = 0; run < runs; run++) {
      double begin_s = now_s();
      int status = LiteRtRunCompiledModel(compiled, 0, 1, &input, 1, &output);
      double took_s = now_s() - begin_s;
      check(status, "run");
      printf("%.9f ", took_s);
    }
    printf("\n");
    fflush(stdout);
  }
  return 0;
}
