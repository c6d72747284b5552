package OIDC::Provider::Daemon;

# The mock provider's process: a small HTTP/1.1 server in one select loop, so that some requests can be held or dripped while
# others are answered. The parent steers it by lines of JSON on a socket pair; when that closes it ends.

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use JSON::PP ();
use OIDC::Form qw(form_decode);
use OIDC::Provider::Endpoints;
use OIDC::Provider::Keys;
use POSIX ();
use Time::HiRes qw(time);

my $json = JSON::PP->new->canonical->utf8->allow_nonref;

sub new {
    my ($class, %option) = @_;
    my $self = bless { %option, knobs => {}, journal => [], held => {}, holding => {}, timers => [], connections => {} }, $class;
    $self->{endpoints} = OIDC::Provider::Endpoints->new(config => $self->{config}, keys => OIDC::Provider::Keys->new($self->{config}{dir}));
    return $self;
}

sub run {
    my ($self) = @_;
    $SIG{PIPE} = 'IGNORE';
    $SIG{INT} = $SIG{TERM} = 'DEFAULT';
    while (1) {
        my $read = IO::Select->new($self->{control}, grep { defined } $self->{listener}, map { $_->{socket} } values %{ $self->{connections} });
        my ($next) = sort { $a <=> $b } map { $_->[0] } @{ $self->{timers} };
        my $wait = defined $next ? $next - time() : undef;
        my @ready = $read->can_read(defined $wait && $wait < 0 ? 0 : $wait);
        for my $socket (@ready) {
            if ($socket == $self->{control}) { $self->control or POSIX::_exit(0) }
            elsif ($self->{listener} && $socket == $self->{listener}) { $self->accept }
            elsif (my $connection = $self->{connections}{ fileno($socket) // -1 }) { $self->receive($connection) }
        }
        my @due = grep { $_->[0] <= time() } @{ $self->{timers} };
        $self->{timers} = [grep { my $timer = $_; !grep { $_ == $timer } @due } @{ $self->{timers} }];
        $_->[1]->() for @due;
    }
}

# ---- the parent's orders --------------------------------------------------------------------------------------------

sub control {
    my ($self) = @_;
    sysread($self->{control}, $self->{orders}, 65536, length($self->{orders} //= '')) or return 0;
    while ($self->{orders} =~ s/^(.*)\n//) {
        my $order = $json->decode($1);
        my $method = "order_$order->{order}";
        my $answer = eval { { value => $self->$method($order) } } || { error => "$@" };
        print { $self->{control} } $json->encode($answer) . "\n";
        $self->{control}->flush;
    }
    return 1;
}

sub order_knobs { my ($self, $order) = @_; $self->{knobs} = $order->{knobs}; return 1 }
sub order_config { my ($self, $order) = @_; $self->{config}{$_} = $order->{config}{$_} for keys %{ $order->{config} }; return 1 }
sub order_journal { return $_[0]{journal} }
sub order_clear { $_[0]{journal} = []; return 1 }
sub order_secrets { return $_[0]{endpoints}->secrets }
sub order_hold { my ($self, $order) = @_; $self->{holding}{ $order->{endpoint} } = 1 }
sub order_held { my ($self, $order) = @_; return scalar @{ $self->{held}{ $order->{endpoint} } || [] } }

sub order_release {
    my ($self, $order) = @_;
    delete $self->{holding}{ $order->{endpoint} };
    $self->answer(@$_) for @{ delete $self->{held}{ $order->{endpoint} } || [] };
    return 1;
}

sub order_sign { my ($self, $order) = @_; return $self->{endpoints}->sign($order->{claims}, $order->{how}) }

# Away: nobody listens any more, and open connections break.
sub order_down {
    my ($self) = @_;
    close delete $self->{listener} if $self->{listener};
    $self->drop($_) for values %{ $self->{connections} };
    return 1;
}

sub order_up {
    my ($self) = @_;
    $self->{listener} ||= listener($self->{config}{port}) or die "cannot listen again: $!\n";
    return 1;
}

# ---- HTTP -----------------------------------------------------------------------------------------------------------

sub listener { return IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => shift, Proto => 'tcp', Listen => 128, ReuseAddr => 1) }

sub accept {
    my ($self) = @_;
    my $socket = $self->{listener}->accept or return;
    $self->{connections}{ fileno $socket } = { socket => $socket, in => '' };
}

sub drop {
    my ($self, $connection) = @_;
    return unless $connection->{socket};
    delete $self->{connections}{ fileno $connection->{socket} };
    close delete $connection->{socket};
}

sub receive {
    my ($self, $connection) = @_;
    my $got = sysread $connection->{socket}, $connection->{in}, 65536, length $connection->{in};
    return $self->drop($connection) unless $got;
    $self->next_request($connection) unless $connection->{busy};
}

sub next_request {
    my ($self, $connection) = @_;
    my $request = parse($connection) or return;
    $connection->{busy} = 1;
    my $endpoint = $self->{endpoints}->name($request);
    $request->{endpoint} = $endpoint;
    push @{ $self->{journal} }, $request;
    if ($self->{holding}{$endpoint}) { push @{ $self->{held}{$endpoint} }, [$connection, $request] }
    else { $self->answer($connection, $request) }
}

sub parse {
    my ($connection) = @_;
    return unless $connection->{in} =~ /\A(.*?)\r\n\r\n/s;
    my ($head, $body) = ($1, substr $connection->{in}, $+[0]);
    my ($line, @lines) = split /\r\n/, $head;
    my ($method, $target) = split / /, $line;
    my %headers;
    for (@lines) {
        my ($name, $value) = /^([^:]+):\s*(.*)/ or next;
        $headers{ lc $name } = exists $headers{ lc $name } ? "$headers{lc $name}, $value" : $value;
    }
    my $length = $headers{'content-length'} // 0;
    return if length $body < $length;
    $connection->{in} = substr $body, $length;
    $connection->{close} = ($headers{connection} // '') =~ /close/i || $line =~ m{HTTP/1\.0$};
    my ($path, $query) = split /\?/, $target, 2;
    $body = substr $body, 0, $length;
    my %request = (method => $method, target => $target, path => $path, headers => \%headers, body => $body);
    $request{query_all} = [form_decode($query // '')];
    $request{form_all} = ($headers{'content-type'} // '') =~ m{^application/x-www-form-urlencoded\b} ? [form_decode($body)] : [];
    for my $part (qw(query form)) { $request{$part} = { map { @$_ } @{ $request{"${part}_all"} } } }
    return \%request;
}

# ---- answers --------------------------------------------------------------------------------------------------------

sub after {
    my ($self, $seconds, $code) = @_;
    push @{ $self->{timers} }, [time() + $seconds, $code];
}

# The endpoint's honest answer, then what the knob of its name changes about it.
sub answer {
    my ($self, $connection, $request) = @_;
    my $knobs = $self->{knobs};
    my $answer = eval { $self->{endpoints}->answer($request, $knobs) } || { status => 500, body => "mock provider: $@", type => 'text/plain' };
    my $change = $knobs->{ $request->{endpoint} } || {};
    my $bytes = $self->serialise($connection, $request, $answer, $change);
    $self->after($change->{delay} // 0, sub { $self->deliver($connection, $bytes, $change) });
}

sub serialise {
    my ($self, $connection, $request, $answer, $change) = @_;
    return $change->{raw} if defined $change->{raw};
    my $body = $answer->{body} // OIDC::Provider::Keys::document($answer->{json}, map { $_ => $change->{$_} } qw(set drop json append));
    $body = $change->{body} if defined $change->{body};
    # JSON may end in blanks: a body that is too long, and otherwise right.
    $body .= ' ' x $change->{extra} if $change->{extra};
    my %headers = ('Content-Type' => $change->{type} // $answer->{type} // 'application/json', %{ $answer->{headers} || {} });
    $headers{Location} = $change->{redirect} if defined $change->{redirect};
    set_header(\%headers, $_, $change->{headers}{$_}) for keys %{ $change->{headers} || {} };
    $connection->{close} = 1 if $change->{hangup} || $change->{drip};
    $headers{'Content-Length'} //= length $body;
    $headers{Connection} = 'close' if $connection->{close};
    my $status = $change->{status} // (defined $change->{redirect} ? 302 : $answer->{status} // 200);
    my $lines = join '', map { defined $headers{$_} ? "$_: $headers{$_}\r\n" : () } sort keys %headers;
    return "HTTP/1.1 $status Mock\r\n$lines\r\n" . ($request->{method} eq 'HEAD' ? '' : $body);
}

sub set_header {
    my ($headers, $name, $value) = @_;
    delete @$headers{ grep { lc $_ eq lc $name } keys %$headers };
    $headers->{$name} = $value;
}

# hangup: 1 closes without a byte, a number below 1 after that part of the answer. drip: seconds between pieces of `piece` bytes.
sub deliver {
    my ($self, $connection, $bytes, $change) = @_;
    return unless $connection->{socket};
    $bytes = substr $bytes, 0, $change->{hangup} >= 1 ? 0 : length($bytes) * $change->{hangup} if $change->{hangup};
    return $self->drip($connection, $bytes, $change) if $change->{drip};
    $self->write($connection, $bytes) or return;
    return $self->drop($connection) if $connection->{close} || defined $change->{raw};
    $connection->{busy} = 0;
    $self->next_request($connection);
}

sub drip {
    my ($self, $connection, $bytes, $change) = @_;
    return unless $connection->{socket};
    return $self->drop($connection) unless length $bytes;
    $self->write($connection, substr $bytes, 0, $change->{piece} // 1, '') or return;
    $self->after($change->{drip}, sub { $self->drip($connection, $bytes, $change) });
}

sub write {
    my ($self, $connection, $bytes) = @_;
    while (length $bytes) {
        my $written = syswrite $connection->{socket}, $bytes;
        if (!$written) {
            $self->drop($connection);
            return 0;
        }
        substr $bytes, 0, $written, '';
    }
    return 1;
}

1;
