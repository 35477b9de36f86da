// For libfcgi: `app PROCESSES`, each of which answers on the listening socket on descriptor 0.
#include <fcgiapp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char chunk[65536];

static void answer(FCGX_Request *request) {
    FCGX_Stream *out = request->out;
    const char *uri = FCGX_GetParam("REQUEST_URI", request->envp);
    char word[64] = "", argument[64] = "";
    sscanf(uri ? uri : "", "/%63[^/?]/%63[^/?]", word, argument);
    if (strcmp(word, "cookies") == 0) FCGX_FPrintF(out, "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n");
    if (strcmp(word, "status") == 0) FCGX_FPrintF(out, "Status: %s\r\n", argument);
    char *type = strcmp(word, "echo") == 0 ? FCGX_GetParam("CONTENT_TYPE", request->envp) : NULL;
    FCGX_FPrintF(out, "Content-Type: %s\r\n\r\n", type ? type : "text/plain");
    if (strcmp(word, "env") == 0) {
        for (char **pair = request->envp; *pair; pair++) FCGX_FPrintF(out, "%s\n", *pair);
    } else if (strcmp(word, "echo") == 0) {
        for (int size; (size = FCGX_GetStr(chunk, sizeof chunk, request->in)) > 0;) FCGX_PutStr(chunk, size, out);
    } else if (strcmp(word, "bytes") == 0) {
        memset(chunk, 'x', sizeof chunk);
        for (long left = atol(argument); left > 0; left -= sizeof chunk) {
            if (FCGX_PutStr(chunk, left < (long)sizeof chunk ? left : (long)sizeof chunk, out) < 0) break;
        }
    } else {
        if (strcmp(word, "stderr") == 0) FCGX_FPrintF(request->err, "%s\n", argument);
        if (strcmp(word, "exit") == 0) FCGX_SetExitStatus(atoi(argument), out);
        FCGX_FPrintF(out, "ok");
    }
}

int main(int argc, char **argv) {
    for (int process = atoi(argv[argc - 1]); process > 1 && fork() > 0; process--) {
    }
    FCGX_Request request;
    if (FCGX_Init() != 0 || FCGX_InitRequest(&request, 0, 0) != 0) return 1;
    // libfcgi's own handler waits, for ever at times, for a kept connection to be closed.
    signal(SIGTERM, SIG_DFL);
    while (FCGX_Accept_r(&request) == 0) answer(&request);
    return 0;
}
