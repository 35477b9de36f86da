// For Go's net/http/fcgi: `app HOST:PORT`.
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/fcgi"
	"os"
	"strconv"
	"strings"
)

func answer(w http.ResponseWriter, r *http.Request) {
	segments := append(strings.Split(r.URL.Path, "/"), "", "")
	word, argument := segments[1], segments[2]
	number, _ := strconv.Atoi(argument)
	w.Header().Set("Content-Type", "text/plain")
	switch word {
	case "env":
		env(w, r)
	case "echo":
		w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
		io.Copy(w, r.Body)
	case "bytes":
		chunk := strings.Repeat("x", 65536)
		for ; number > len(chunk); number -= len(chunk) {
			if _, err := io.WriteString(w, chunk); err != nil {
				return
			}
		}
		io.WriteString(w, chunk[:number])
	case "cookies":
		w.Header().Add("Set-Cookie", "a=1")
		w.Header().Add("Set-Cookie", "b=2")
	case "status":
		w.WriteHeader(number)
	default:
		io.WriteString(w, "ok")
	}
}

// The package hides what it has made a Request of.
func env(w io.Writer, r *http.Request) {
	fmt.Fprintf(w, "REQUEST_METHOD=%s\n", r.Method)
	fmt.Fprintf(w, "REQUEST_URI=%s\n", r.URL.RequestURI())
	fmt.Fprintf(w, "QUERY_STRING=%s\n", r.URL.RawQuery)
	for name, values := range r.Header {
		name = strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
		fmt.Fprintf(w, "HTTP_%s=%s\n", name, strings.Join(values, ", "))
	}
	for name, value := range fcgi.ProcessEnv(r) {
		fmt.Fprintf(w, "%s=%s\n", name, value)
	}
}

func main() {
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(fcgi.Serve(listener, http.HandlerFunc(answer)))
}
