package OIDC::Echo;

# An upstream that answers with the bytes that reached it. A path may say how: /accel/URI sends X-Accel-Redirect, /status/401 that status,
# /events an event stream that goes on, and a request with Upgrade gets 101, then everything back.

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use OIDC::Nginx;
use POSIX ();

# Serves one connection after the other in a process of its own, which ends with this one.
sub start {
    my ($class, $port) = @_;
    my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Proto => 'tcp', Listen => 64, ReuseAddr => 1) or die "cannot listen: $!\n";
    pipe my $alive, my $keep or die "pipe: $!";
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        close $keep;
        serve($listener, $alive);
        POSIX::_exit(0);
    }
    close $alive;
    close $listener;
    return bless { pid => $pid, keep => $keep, owner => $$ }, $class;
}

sub serve {
    my ($listener, $alive) = @_;
    my $select = IO::Select->new($listener, $alive);
    my %buffer;
    while (1) {
        for my $handle ($select->can_read) {
            return if $handle == $alive;
            if ($handle == $listener) {
                my $client = $listener->accept or next;
                $select->add($client);
                $buffer{$client} = { text => '' };
                next;
            }
            my $state = $buffer{$handle};
            if (!sysread $handle, my $bytes, 65536) {
                $select->remove($handle);
                close $handle;
                delete $buffer{$handle};
                next;
            }
            elsif ($state->{upgraded}) { syswrite $handle, $bytes }
            else {
                $state->{text} .= $bytes;
                answer($handle, $state) if $state->{text} =~ /\r\n\r\n/;
                next if $state->{upgraded} || $state->{text} !~ /\r\n\r\n/;
                $select->remove($handle);
                close $handle;
            }
        }
    }
}

sub answer {
    my ($handle, $state) = @_;
    my $text = $state->{text};
    if ($text =~ /^Upgrade: (\S+)/mi) {
        $state->{upgraded} = 1;
        syswrite $handle, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: $1\r\nConnection: Upgrade\r\n\r\n$text";
        return;
    }
    my ($path) = $text =~ /^\S+ (\S+)/;
    if ($path =~ m{/events}) {
        $state->{upgraded} = 1;
        syswrite $handle, "HTTP/1.1 200 Echo\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\ndata: begun\n\n";
        return;
    }
    my $status = $path =~ m{/status/(\d+)} ? $1 : 200;
    my $more = $path =~ m{/accel(/.*)} ? "X-Accel-Redirect: $1\r\n" : '';
    my $type = $path =~ /\.shtml/ ? 'text/html' : 'text/plain';
    my $body = $path =~ /\.shtml/ ? '[<!--# include virtual="/ssi_part" --><!--# include virtual="/ssi_open" -->]' : $text;
    syswrite $handle, "HTTP/1.1 $status Echo\r\nContent-Type: $type\r\n${more}Content-Length: " . length($body) . "\r\nConnection: close\r\n\r\n$body";
    return;
}

sub DESTROY {
    my ($self) = @_;
    return unless $self->{owner} == $$;
    local ($?, $!);
    close $self->{keep};
    waitpid $self->{pid}, 0;
}

1;
