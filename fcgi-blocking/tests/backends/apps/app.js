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
        // The answer begins with the first whole record of the body. nginx stops sending at the answer's first byte:
        // if any of the body is unsent by then, both wait, which an application that answers after the body's end
        // does not see. With the socket buffers of Linux, nginx has sent bodies below 190 KB by then, and below 3.9 MB
        // over TCP. A client that closes its sending half gets what has left by then, since node-fastcgi's sockets
        // are not `allowHalfOpen`. One that keeps both halves open gets everything, even if it reads only after it
        // has written: node-fastcgi never stops reading, whatever it cannot send.
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
