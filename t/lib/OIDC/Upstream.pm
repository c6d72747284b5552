package OIDC::Upstream;

# Upstreams of every protocol that nginx speaks (http, fastcgi, uwsgi, scgi, grpc): each answers with the bytes that reached it.

use strict;
use warnings;

use IO::Socket::INET;
use POSIX ();

# Serves one connection after the other in a process of its own, which ends with this one.
sub start {
    my ($class, $protocol, $port) = @_;
    my $answer = $class->can("answer_$protocol") or die "no such protocol: $protocol\n";
    my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Proto => 'tcp', Listen => 64, ReuseAddr => 1) or die "cannot listen: $!\n";
    my $parent = $$;
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        $SIG{TERM} = 'DEFAULT';
        $SIG{PIPE} = 'IGNORE';
        while (my $client = $listener->accept) {
            $answer->($client);
            close $client;
        }
        POSIX::_exit(0);
    }
    close $listener;
    return bless { pid => $pid, owner => $parent }, $class;
}

# Reads until `complete` says so.
sub received {
    my ($client, $complete) = @_;
    my $bytes = '';
    while (!$complete->($bytes)) { sysread $client, $bytes, 65536, length $bytes or last }
    return $bytes;
}

sub answer_http {
    my ($client) = @_;
    my $head = received($client, sub { $_[0] =~ /\r\n\r\n/ });
    syswrite $client, "HTTP/1.0 200 OK\r\nContent-Length: " . length($head) . "\r\n\r\n$head";
}

# FastCGI 1.0, section 3.3: the parameters end with an empty record, and so does the body.
sub fastcgi_records {
    my ($bytes) = @_;
    my @records;
    while (length $bytes >= 8) {
        my (undef, $type, undef, $length, $padding) = unpack 'CCnnC', $bytes;
        last if length $bytes < 8 + $length + $padding;
        push @records, [$type, substr $bytes, 8, $length];
        substr $bytes, 0, 8 + $length + $padding, '';
    }
    return @records;
}

sub answer_fastcgi {
    my ($client) = @_;
    my $bytes = received($client, sub { grep { $_->[0] == 5 && !length $_->[1] } fastcgi_records($_[0]) });
    my $text = "Content-Type: text/plain\r\n\r\n" . join '', map { $_->[1] } grep { $_->[0] == 4 } fastcgi_records($bytes);
    syswrite $client, pack('CCnnCC', 1, 6, 1, length $text, 0, 0) . $text . pack('CCnnCC', 1, 6, 1, 0, 0, 0) . pack('CCnnCCNCx3', 1, 3, 1, 8, 0, 0, 0, 0);
}

sub answer_uwsgi {
    my ($client) = @_;
    my $bytes = received($client, sub { length $_[0] >= 4 && length $_[0] >= 4 + unpack 'xv', $_[0] });
    syswrite $client, "HTTP/1.0 200 OK\r\n\r\n$bytes";
}

sub answer_scgi {
    my ($client) = @_;
    my $bytes = received($client, sub { $_[0] =~ /^(\d+):/ && length $_[0] > length($1) + 1 + $1 });
    syswrite $client, "Status: 200 OK\r\n\r\n$bytes";
}

sub frame { my ($type, $flags, $stream, $payload) = @_; return substr(pack('N', length $payload), 1) . pack('CCN', $type, $flags, $stream) . $payload }

# HTTP/2: the first HEADERS frame of a client, as HPACK wrote it; a value whose Huffman code would be longer stands there as it is.
sub answer_grpc {
    my ($client) = @_;
    my $headers;
    received($client, sub {
        $_[0] =~ m{^PRI \* HTTP/2\.0\r\n\r\nSM\r\n\r\n(.*)}s or return;
        my $bytes = $1;
        while (length $bytes >= 9) {
            my $length = unpack 'N', "\0" . substr $bytes, 0, 3;
            return if length $bytes < 9 + $length;
            return $headers = substr $bytes, 9, $length if ord(substr $bytes, 3, 1) == 1;
            substr $bytes, 0, 9 + $length, '';
        }
        return;
    });
    syswrite $client, frame(4, 0, 0, '') . frame(4, 1, 0, '') . frame(1, 4, 1, "\x88") . frame(0, 1, 1, $headers // '');
    1 while sysread $client, my $rest, 65536;
}

sub DESTROY {
    my ($self) = @_;
    return unless $self->{owner} == $$;
    local ($?, $!);
    kill TERM => $self->{pid};
    waitpid $self->{pid}, 0;
}

1;
