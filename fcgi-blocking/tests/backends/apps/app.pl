# For Perl's FCGI, on the listening socket on descriptor 0.
use strict;
use warnings;
use FCGI;

my %env;
my $request = FCGI::Request(\*STDIN, \*STDOUT, \*STDERR, \%env);
# libfcgi's own handler waits, for ever at times, for a kept connection to be closed.
$SIG{TERM} = 'DEFAULT';
while ($request->Accept() >= 0) {
    my (undef, $word, $argument) = split m{[/?]}, $env{REQUEST_URI} // '';
    $word //= '';
    print "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n" if $word eq 'cookies';
    print "Status: $argument\r\n" if $word eq 'status';
    my $type = $word eq 'echo' ? $env{CONTENT_TYPE} : 'text/plain';
    print "Content-Type: $type\r\n\r\n";
    if ($word eq 'env') {
        print "$_=$env{$_}\n" for keys %env;
    } elsif ($word eq 'echo') {
        my $chunk;
        print $chunk while read(STDIN, $chunk, 65536);
    } elsif ($word eq 'bytes') {
        for (my $left = $argument; $left > 0; $left -= 65536) {
            print 'x' x ($left < 65536 ? $left : 65536);
        }
    } else {
        print STDERR "$argument\n" if $word eq 'stderr';
        print 'ok';
    }
}
