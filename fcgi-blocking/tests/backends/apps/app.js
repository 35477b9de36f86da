// For node-fastcgi: `app.js SOCKET`.
'use strict';

const fastcgi = require('node-fastcgi');

fastcgi.createServer((request, response) => {
    const [, word, argument] = request.url.split(/[/?]/);
    response.setHeader('Content-Type', 'text/plain');
    switch (word) {
    case 'env':
        for (const [name, value] of Object.entries(request.cgiParams)) {
            response.write(`${name}=${value}\n`);
        }
        return response.end();
    case 'echo':
        response.setHeader('Content-Type', request.cgiParams.CONTENT_TYPE);
        // The answer begins before the body is in. So what does not fit the sockets, from about 64 KB on, comes back
        // only to a client that reads while it writes and closes neither half. nginx stops sending at the answer's
        // first byte, and both wait; a client that closes its sending half gets what has left by then, since
        // node-fastcgi's sockets are not `allowHalfOpen`.
        request.on('data', (data) => response.write(data));
        return request.on('end', () => response.end());
    case 'bytes':
        return response.end(Buffer.alloc(Number(argument), 'x'));
    case 'cookies':
        response.setHeader('Set-Cookie', ['a=1', 'b=2']);
        return response.end();
    case 'status':
        response.statusCode = Number(argument);
        return response.end();
    case 'stderr':
        response.stderr.write(`${argument}\n`);
        return response.end('ok');
    default:
        return response.end('ok');
    }
}).listen(process.argv[2]);
