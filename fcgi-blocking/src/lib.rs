//! FastCGI on blocking sockets.
