// The server that every peer is measured as, in Go's net/http/fcgi, on a listening socket on descriptor 0.
package main

import (
	"bytes"
	"net/http"
	"net/http/fcgi"
)

func main() {
	body := bytes.Repeat([]byte("x"), 1024)
	fcgi.Serve(nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Write(body)
	}))
}
