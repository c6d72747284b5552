package OIDC::Http2;

# One HTTP/2 connection without TLS (prior knowledge), frame by frame: to see what becomes of single streams.

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use OIDC::Nginx;

my %type = (DATA => 0, HEADERS => 1, RST_STREAM => 3, SETTINGS => 4, PING => 6, GOAWAY => 7, WINDOW_UPDATE => 8);

sub connect {
    my ($class, $port) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Proto => 'tcp') or die "cannot connect: $!\n";
    my $self = bless { socket => $socket, buffer => '', next => 1, streams => {} }, $class;
    my $window = pack 'nN', 4, 0x7fffffff;
    syswrite $socket, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" . frame('SETTINGS', 0, 0, $window) . frame('WINDOW_UPDATE', 0, 0, pack 'N', 0x7fff0000 - 65535);
    return $self;
}

sub frame {
    my ($name, $flags, $stream, $payload) = @_;
    return substr(pack('N', length $payload), 1) . pack('CCN', $type{$name}, $flags, $stream) . $payload;
}

# RFC 7541 section 6.2.2: a literal field that nobody remembers. Names and values here have less than 127 or 16,000 bytes.
sub field {
    my ($name, $value) = @_;
    my $text = sub { my $n = length $_[0]; return ($n < 127 ? pack('C', $n) : pack('CCC', 127, ($n - 127) % 128 | 128, int(($n - 127) / 128))) . $_[0] };
    return "\0" . $text->($name) . $text->($value);
}

# Begins a GET and returns the number of its stream.
sub get {
    my ($self, $path, %header) = @_;
    my $id = $self->{next};
    $self->{next} += 2;
    $self->{streams}{$id} = { data => '' };
    my $block = join '', map { field(@$_) } [':method', 'GET'], [':scheme', 'http'], [':authority', 'localhost'], [':path', $path], map { [$_, $header{$_}] } sort keys %header;
    syswrite $self->{socket}, frame('HEADERS', 5, $id, $block);
    return $id;
}

# Reads what comes until the code is true (patience decides when it never gets so). Gives what the code gave.
sub wait_for {
    my ($self, $code) = @_;
    my $select = IO::Select->new($self->{socket});
    my $deadline = time + OIDC::Nginx::patience();
    while (time <= $deadline) {
        my $found = $code->();
        return $found if $found;
        next unless $select->can_read(0.1);
        sysread $self->{socket}, $self->{buffer}, 65536, length $self->{buffer} or return $code->();
        $self->read_frames;
    }
    return;
}

sub read_frames {
    my ($self) = @_;
    while (length $self->{buffer} >= 9) {
        my ($high, $low, $kind, $flags, $id) = unpack 'CnCCN', $self->{buffer};
        my $size = $high << 16 | $low;
        return if length $self->{buffer} < 9 + $size;
        my $payload = substr substr($self->{buffer}, 0, 9 + $size, ''), 9;
        my $stream = $self->{streams}{$id};
        if ($kind == $type{SETTINGS} && !($flags & 1)) { syswrite $self->{socket}, frame('SETTINGS', 1, 0, '') }
        elsif ($kind == $type{PING} && !($flags & 1)) { syswrite $self->{socket}, frame('PING', 1, 0, $payload) }
        elsif ($kind == $type{GOAWAY}) { $self->{goaway} = 1 }
        elsif ($stream) {
            $stream->{headers} = 1 if $kind == $type{HEADERS};
            $stream->{data} .= $payload if $kind == $type{DATA};
            $stream->{reset} = 1 + unpack 'N', $payload if $kind == $type{RST_STREAM};
            $stream->{ended} = 1 if $kind <= 1 && $flags & 1;
        }
    }
}

sub stream { my ($self, $id) = @_; return $self->{streams}{$id} }

1;
