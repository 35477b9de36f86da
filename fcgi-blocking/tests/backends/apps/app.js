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
        // Not `pipe`, which holds the body up while the answer waits: node-fastcgi has hung there, with bodies above
        // 64 KB and where nobody else was at work.
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
