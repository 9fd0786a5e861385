// A DOUBLE of libedgetpu: it takes each edgetpu-custom-op as the real one does, through TFLite's delegate plugin
// interface, and its "chip" gives the first bytes of the input for an output. It shows nothing about a Coral.
//
// Environment: EDGETPU_DOUBLE=absent (no chip), or a number that is added to each byte of an answer.
// The structures are those of TFLite's c/common.h, as far as they are used; the rest is kept for its size.
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { OK = 0, ALLOW_DYNAMIC_TENSORS = 1, UPLOAD_MS = 60, RUN_MS = 2 };

typedef struct Context Context;
typedef struct Delegate Delegate;
typedef struct { int size; int data[]; } IntArray;
typedef struct {
  int type; uint8_t *data; IntArray *dims; float scale; int32_t zero_point; int allocation_type; size_t bytes;
  const void *allocation; const char *name; Delegate *delegate; int buffer_handle; bool stale, variable;
  int quantization_type; void *quantization; void *sparsity; const IntArray *signature;
} Tensor;
typedef struct {
  IntArray *inputs, *outputs, *intermediates, *temporaries; void *user_data, *builtin_data;
  const void *custom_data; int custom_data_size; Delegate *delegate; bool side_effect;
} Node;
typedef struct {
  void *(*init)(Context *, const char *, size_t); void (*free)(Context *, void *);
  int (*prepare)(Context *, Node *); int (*invoke)(Context *, Node *); void *profiling_string;
  int32_t builtin_code; const char *custom_name; int version; void *external, *async_kernel; uint64_t inplace;
} Registration;
struct Context {
  size_t tensors_size; int (*execution_plan)(Context *, IntArray **); Tensor *tensors; void *impl, *resize, *report, *add;
  int (*node_and_registration)(Context *, int, Node **, Registration **);
  int (*replace)(Context *, Registration, const IntArray *, Delegate *);
};
struct Delegate {
  void *data; int (*prepare)(Context *, Delegate *); void *from, *to, *release; int64_t flags; void *builder;
};

static int has_parameters;

static void pause_ms(long ms) { nanosleep(&(struct timespec){0, ms * 1000000L}, NULL); }

static int run(Context *context, Node *node) {
  const Tensor *in = &context->tensors[node->inputs->data[0]], *out = &context->tensors[node->outputs->data[0]];
  const char *added = getenv("EDGETPU_DOUBLE");
  pause_ms(has_parameters ? RUN_MS : UPLOAD_MS);
  has_parameters = 1;
  for (size_t place = 0; place < out->bytes; place++)
    out->data[place] = (uint8_t)(in->data[place % in->bytes] + (added ? atoi(added) : 0));
  return OK;
}

static int nothing(Context *context, Node *node) { return OK; }

static int take(Context *context, Delegate *delegate) {
  Registration kernel = {.prepare = nothing, .invoke = run, .custom_name = "EdgeTpuDelegateForCustomOp", .version = 1};
  IntArray *plan, *one = calloc(1, sizeof(IntArray) + sizeof(int));
  int status = context->execution_plan(context, &plan), count = status ? 0 : plan->size;
  int *places = calloc((size_t)count + 1, sizeof(int));  // the plan is another one after each replacement
  memcpy(places, plan->data, sizeof(int) * (size_t)count);
  one->size = 1;
  for (int place = 0; place < count && !status; place++) {
    Node *node; Registration *registration;
    context->node_and_registration(context, places[place], &node, &registration);
    one->data[0] = places[place];
    if (registration->custom_name && !strcmp(registration->custom_name, "edgetpu-custom-op"))
      status = context->replace(context, kernel, one, delegate);
  }
  free(one);
  free(places);
  return status;
}

Delegate *tflite_plugin_create_delegate(char **keys, char **values, size_t count, void (*report)(const char *)) {
  const char *mode = getenv("EDGETPU_DOUBLE");
  if (mode && !strcmp(mode, "absent")) return NULL;
  Delegate *delegate = calloc(1, sizeof(Delegate));
  delegate->prepare = take;
  delegate->flags = ALLOW_DYNAMIC_TENSORS;  // as the real one: nothing is prepared before it has taken its ops
  return delegate;
}

void tflite_plugin_destroy_delegate(Delegate *delegate) { free(delegate); }

const char *edgetpu_version(void) { return "A double of libedgetpu, RuntimeVersion(14)"; }
