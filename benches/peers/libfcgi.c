/* The server that every peer is measured as, in libfcgi's threaded interface, on a listening socket on
 * descriptor 0: 64 threads, each with a request of its own, as its own example does it. */
#include <fcgiapp.h>
#include <pthread.h>
#include <string.h>

enum { THREADS = 64 };

static char body[1024];

static void *serve(void *unused) {
  static const char head[] = "Status: 200 OK\r\nContent-Type: text/plain\r\n\r\n";
  FCGX_Request request;
  FCGX_InitRequest(&request, 0, 0);
  while (FCGX_Accept_r(&request) == 0) {
    FCGX_PutStr(head, sizeof head - 1, request.out);
    FCGX_PutStr(body, sizeof body, request.out);
    /* What FCGX_Accept_r does before it waits for the next. */
    FCGX_Finish_r(&request);
  }
  return unused;
}

int main(void) {
  pthread_t threads[THREADS];
  memset(body, 'x', sizeof body);
  FCGX_Init();
  for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], 0, serve, 0);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], 0);
  return 0;
}
