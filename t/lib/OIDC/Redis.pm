package OIDC::Redis;

# A real redis-server of Debian in a directory of its own: over TCP, TLS and a socket at once. No service, nothing on disk.

use strict;
use warnings;

use File::Path ();
use File::Temp qw(tempdir);
use IO::Socket::UNIX;
use OIDC::Nginx;
use POSIX ();

my %running;

# Options: user and password (ACL), password alone, bind: addresses, certificates: a directory with server.pem, server.key and ca.pem.
sub new {
    my ($class, %option) = @_;
    my $self = bless { owner => $$, %option }, $class;
    $self->{dir} = tempdir('oidc-redis-XXXXXX', TMPDIR => 1, CLEANUP => 0);
    chmod 0755, $self->{dir};
    $self->{port} = OIDC::Nginx::free_port();
    $self->{tls_port} = OIDC::Nginx::free_port() if $option{certificates};
    return $self->start;
}

sub socket { return "$_[0]{dir}/redis.sock" }
sub port { return $_[0]{port} }
sub tls_port { return $_[0]{tls_port} }

sub arguments {
    my ($self) = @_;
    my @words = ('--bind', split(/ /, $self->{bind} // '127.0.0.1'), '--port', $self->{port}, '--save', '', '--appendonly', 'no', '--dir', $self->{dir}, '--unixsocket', $self->socket,
        '--unixsocketperm', '777', '--logfile', "$self->{dir}/log", '--daemonize', 'no');
    if (my $dir = $self->{certificates}) {
        push @words, '--tls-port', $self->{tls_port}, '--tls-cert-file', "$dir/server.pem", '--tls-key-file', "$dir/server.key", '--tls-ca-cert-file', "$dir/ca.pem",
            '--tls-auth-clients', 'no';
    }
    push @words, '--user', $self->{user}, 'on', ">$self->{password}", '~oidc:*', '+@all', '--user', 'default', 'off' if $self->{user};
    push @words, '--requirepass', $self->{password} if $self->{password} && !$self->{user};
    return @words;
}

sub start {
    my ($self) = @_;
    my @arguments = $self->arguments;
    defined(my $pid = fork) or die "cannot fork: $!";
    if (!$pid) {
        open STDOUT, '>>', "$self->{dir}/out";
        open STDERR, '>&', \*STDOUT;
        exec 'redis-server', @arguments or POSIX::_exit(127);
    }
    $self->{pid} = $pid;
    $running{$pid} = $self;
    OIDC::Nginx::wait_until(sub { IO::Socket::UNIX->new(Peer => $self->socket) }) or die 'redis-server does not start: ' . OIDC::Nginx::slurp("$self->{dir}/log");
    return $self;
}

sub signal { my ($self, $signal) = @_; kill $signal, $self->{pid}; return $self }

sub stop {
    my ($self) = @_;
    my $pid = delete $self->{pid} or return;
    delete $running{$pid};
    kill KILL => $pid;
    waitpid $pid, 0;
    unlink $self->socket;
    return $self;
}

# One command over a connection of its own. Texts and numbers as they are, lists as references, nothing as undef; an error dies.
sub command {
    my ($self, @words) = @_;
    my $socket = IO::Socket::UNIX->new(Peer => $self->socket) or die "no Redis: $!";
    my @first = $self->{password} ? ['AUTH', $self->{user} // (), $self->{password}] : ();
    push @first, ['SELECT', $self->{database}] if $self->{database};
    my $answer;
    for my $command (@first, \@words) {
        print $socket '*' . @$command . "\r\n", map { '$' . length($_) . "\r\n$_\r\n" } @$command;
        $socket->flush;
        $answer = read_answer($socket);
    }
    return $answer;
}

sub read_answer {
    my ($socket) = @_;
    my $line = do { local $/ = "\r\n"; <$socket> } // die "Redis hung up\n";
    my ($kind, $rest) = $line =~ /^(.)(.*)\r\n$/s;
    die "Redis: $rest\n" if $kind eq '-';
    return $rest if $kind eq '+' || $kind eq ':';
    return undef if $rest < 0;
    return [map { read_answer($socket) } 1 .. $rest] if $kind eq '*';
    read $socket, my $text, $rest + 2;
    return substr $text, 0, $rest;
}

sub keys { my ($self, $pattern) = @_; return sort @{ $self->command('KEYS', $pattern // '*') } }

sub keys_of { my ($self, $database) = @_; local $self->{database} = $database; return $self->keys }

sub DESTROY {
    my ($self) = @_;
    return if $self->{owner} != $$;
    local $?;
    $self->stop;
    File::Path::remove_tree($self->{dir});
}

END { local $?; $_->stop for grep { $_->{owner} == $$ } values %running }

1;
