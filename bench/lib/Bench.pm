package Bench;

# The site that is measured, and the ways to measure it. Ports, configuration files and the provider come from the library of the tests.

use strict;
use warnings;

use Exporter 'import';
use IO::Socket::INET;
use JSON::PP ();
use OIDC::Browser;
use OIDC::Nginx;
use OIDC::Provider;
use List::Util qw(sum);
use Socket qw(IPPROTO_TCP TCP_NODELAY);
use Time::HiRes qw(time);

our @EXPORT_OK = qw(site backend sign_in tokens get_many latencies pipeline wrk cpu_time kept_memory median processors pin);

# Claims as a company's provider sends them: about 600 bytes.
my %user = (
    sub => '3f0c8f0e-6d52-4d0f-9d0b-2f6b1c1d7a55', name => 'Alice Liddell', email => 'alice.liddell@example.com',
    given_name => 'Alice', family_name => 'Liddell', preferred_username => 'alice', locale => 'en-GB', zoneinfo => 'Europe/London',
    groups => [map { "department-$_" } 1 .. 14],
);

# ---- servers --------------------------------------------------------------------------------------------------------

# An application that costs little: it runs in an nginx of its own, so that only the site's work is counted.
sub backend {
    my $nginx = OIDC::Nginx->new(module => 0, log_level => 'warn', http => <<'END');
    access_log off;
    keepalive_requests 1000000000;
    server {
        listen 127.0.0.1:%%PORT_app%%;
        location / { return 200 "app\n"; }
        location = /check { return 204; }
    }
END
    return $nginx->start;
}

# The site. `callgrind`: the one process that serves it is counted. `redirect`: where /moved sends everybody. `bare`: without the module.
# `store`: another session_store. `workers`: how many.
sub site {
    my ($backend, %option) = @_;
    my $op = $option{op} || OIDC::Provider->new(tls => 0, user => \%user);
    my $class = $option{callgrind} ? 'Bench::Callgrind' : 'OIDC::Nginx';
    my $http = site_text($backend, $op, $option{redirect} // '/');
    $http =~ s/session_store \Kbench/$option{store}/ if $option{store};
    $http = bare($http) if $option{bare};
    my $nginx = $class->new(
        module => !$option{bare}, workers => $option{workers} // 1, log_level => 'warn', main => $option{callgrind} ? 'master_process off;' : '', http => $http);
    mkdir "$nginx->{dir}/www" or die "cannot make a folder: $!";
    $nginx->write_file('www/file', 'x' x 100 . "\n");
    $nginx->start;
    return { nginx => $nginx, op => $op, backend => $backend, port => $nginx->port('site') };
}

sub site_text {
    my ($backend, $op, $redirect) = @_;
    my ($app, $issuer, $id, $secret) = ($backend->port('app'), $op->issuer, $op->client_id, $op->client_secret);
    return <<"END";
    access_log off;
    keepalive_requests 1000000000;
    sendfile on;
    keyval_zone zone=bench:1m;
    oidc_provider my_idp {
        issuer $issuer;
        client_id "$id";
        client_secret "$secret";
        session_store bench;
    }
    upstream app {
        server 127.0.0.1:$app;
        keepalive 32;
        keepalive_requests 1000000000;
    }
    server {
        listen 127.0.0.1:%%PORT_site%%;
        server_name localhost;
        root %%DIR%%/www;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        location /plain/ { alias %%DIR%%/www/; }
        location /zone/ { alias %%DIR%%/www/; auth_oidc my_idp; }
        location /rule/ { alias %%DIR%%/www/; auth_oidc my_idp; auth_oidc_require groups department-7; }
        location /bearer/ { alias %%DIR%%/www/; auth_oidc my_idp; auth_oidc_bearer only; }
        location /asked/ { alias %%DIR%%/www/; auth_request /check; }
        location = /check { internal; proxy_pass http://app; proxy_pass_request_body off; }
        location /proxied/ { proxy_pass http://app; }
        location /claims/ {
            auth_oidc my_idp;
            proxy_pass http://app;
            proxy_set_header Connection "";
            proxy_set_header X-Sub \$oidc_claim_sub;
            proxy_set_header X-Email \$oidc_claim_email;
            proxy_set_header X-Name \$oidc_claim_name;
        }
        location = /moved { return 302 "$redirect"; }
    }
END
}

# The same without everything that is ours.
sub bare {
    my ($http) = @_;
    $http =~ s/^ *(?:keyval_zone|auth_oidc|proxy_set_header X-).*\n//mg;
    $http =~ s/auth_oidc my_idp;| auth_oidc_(?:require|bearer) [^;]+;//g;
    $http =~ s/oidc_provider my_idp \{.*?\n    \}//s;
    return $http;
}

# One real login. Returns the session's cookie line.
sub sign_in {
    my ($site, $browser) = @_;
    $browser ||= browser($site);
    my $page = $browser->login('/zone/file');
    die "signing in failed: status " . $page->status . "\n" unless $page->status == 200;
    return $browser->cookie_line(OIDC::Browser::parse_url("http://localhost:$site->{port}/"), 'GET', {});
}

# An access token as a provider signs it, and one that says nothing itself.
sub tokens {
    my ($site) = @_;
    my ($op, $now) = ($site->{op}, time);
    $op->set(introspect => { set => { %user, active => JSON::PP::true, aud => $op->client_id, exp => $now + 3600 } });
    return ($op->sign({ %user, iss => $op->issuer, aud => $op->client_id, iat => $now, exp => $now + 3600, scope => 'read' }, header => { typ => 'at+jwt' }), 'an-opaque-token-0123456789abcdef');
}

sub browser {
    my ($site) = @_;
    return OIDC::Browser->new(base => "http://localhost:$site->{port}");
}

# ---- requests -------------------------------------------------------------------------------------------------------

sub open_connection {
    my ($port) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Proto => 'tcp') or die "cannot connect: $!\n";
    setsockopt $socket, IPPROTO_TCP, TCP_NODELAY, 1;
    return $socket;
}

sub request_text {
    my ($site, $path, @headers) = @_;
    return join "\r\n", "GET $path HTTP/1.1", "Host: localhost:$site->{port}", @headers, '', '';
}

# One whole answer. Every answer here says how long it is.
sub read_answer {
    my ($socket) = @_;
    my ($answer, $whole) = ('');
    until (defined $whole && length $answer >= $whole) {
        sysread $socket, $answer, 65536, length $answer or die "the server closed the connection\n";
        my $head = index $answer, "\r\n\r\n";
        $whole //= $head + 4 + ($answer =~ /^Content-Length: (\d+)/mi)[0] if $head >= 0;
    }
    return $answer;
}

# One after the other on one connection: what the server does is then the same each time. Dies when a status is another one.
# Returns the last answer.
sub get_many {
    my ($site, $cell, $count) = @_;
    my $socket = open_connection($site->{port});
    my $request = request_text($site, $cell->{path}, @{ $cell->{headers} });
    my $answer;
    for (1 .. $count) {
        syswrite($socket, $request) == length $request or die "cannot write: $!\n";
        $answer = read_answer($socket);
        $answer =~ m{^HTTP/1.1 $cell->{status} } or die "$cell->{path}: not $cell->{status} but " . substr($answer, 0, 60) . "\n";
    }
    return $answer;
}

# One after the other too: microseconds of each, the shortest first.
sub latencies {
    my ($ask, $count) = @_;
    return sort { $a <=> $b } map { my $start = time; $ask->(); (time - $start) * 1_000_000 } 1 .. $count;
}

# Many requests at a time, as a flood comes. Returns how many were answered with the status. A connection makes nginx itself keep a
# byte or two for each pipelined request while it is open, so that each is closed after a thousand.
sub pipeline {
    my ($site, $cell, $count) = @_;
    my $answered = 0;
    for (my $left = $count; $left > 0; $left -= 1000) {
        $answered += pipeline_once($site, $cell, $left < 1000 ? $left : 1000);
    }
    # When another connection was served, the server knows that the others are closed.
    get_many($site, $cell, 1);
    return $answered;
}

sub pipeline_once {
    my ($site, $cell, $count) = @_;
    my $socket = open_connection($site->{port});
    my $request = request_text($site, $cell->{path}, @{ $cell->{headers} });
    my ($sent, $answered) = (0, 0);
    while ($sent < $count) {
        my $now = $count - $sent < 50 ? $count - $sent : 50;
        syswrite $socket, $request x $now;
        $sent += $now;
        my $rest = '';
        while ($answered < $sent) {
            sysread $socket, $rest, 262144, length $rest or die "the server closed the connection after $answered answers\n";
            $answered++ while $rest =~ s{\A.*?HTTP/1\.1 $cell->{status} }{}s;
        }
    }
    return $answered;
}

# As many requests as come through in the time. Returns requests per second and the worker's microseconds for each.
sub wrk {
    my ($site, $cell, $seconds) = @_;
    my @headers = map { ('-H', $_) } "Host: localhost:$site->{port}", @{ $cell->{headers} };
    my @cpus = processors();
    my @pinned = @cpus > 1 ? ('taskset', '-c', $cpus[1]) : ();
    my $before = cpu_time($site->{nginx}->worker_pids);
    open my $out, '-|', @pinned, 'wrk', '-t1', '-c32', "-d${seconds}s", @headers, "http://127.0.0.1:$site->{port}$cell->{path}"
        or die "cannot run wrk: $!\n";
    my $text = do { local $/; <$out> };
    close $out;
    my $used = cpu_time($site->{nginx}->worker_pids) - $before;
    die "wrk at $cell->{path}:\n$text" if $text =~ /Non-2xx|Socket errors/;
    my ($count, $rate) = ($text =~ /(\d+) requests in/, $text =~ m{Requests/sec:\s*([\d.]+)}) or die "wrk said:\n$text";
    return ($rate, $used / $count);
}

# ---- what a process costs -------------------------------------------------------------------------------------------

# Microseconds of processor time so far, of all of them.
sub cpu_time { return sum map { (split ' ', OIDC::Nginx::slurp("/proc/$_/schedstat"))[0] / 1000 } @_ }

# Bytes that a process has written to, of its own and of shared zones; files and code do not count.
sub kept_memory {
    my ($pid) = @_;
    my ($bytes, $zone) = (0, 0);
    for (split /\n/, OIDC::Nginx::slurp("/proc/$pid/smaps")) {
        $zone = m{/dev/zero} if /^[0-9a-f]+-[0-9a-f]+ /;
        $bytes += $1 * 1024 if /^Anonymous:\s+(\d+) kB/ || $zone && /^Rss:\s+(\d+) kB/;
    }
    return $bytes;
}

sub median {
    my @sorted = sort { $a <=> $b } @_;
    return @sorted % 2 ? $sorted[@sorted / 2] : ($sorted[@sorted / 2 - 1] + $sorted[@sorted / 2]) / 2;
}

# Those that this process may use.
sub processors {
    my ($list) = OIDC::Nginx::slurp('/proc/self/status') =~ /^Cpus_allowed_list:\s*(\S+)/m;
    return map { /(\d+)-(\d+)/ ? $1 .. $2 : $_ } split /,/, $list;
}

# The worker gets a processor of its own where there are several.
sub pin {
    my ($nginx, $which) = @_;
    my @cpus = processors();
    return if @cpus < 2;
    system "taskset -cp $cpus[$which] $_ >/dev/null" for $nginx->worker_pids;
}

package Bench::Callgrind;

# An nginx of one process whose instructions are counted.

use strict;
use warnings;

our @ISA = 'OIDC::Nginx';

sub command {
    my ($self) = @_;
    return ('valgrind', '-q', '--tool=callgrind', "--callgrind-out-file=$self->{dir}/counted.%p", $self->SUPER::command);
}

sub wait_workers { return !$_[0]->gone }

sub control {
    my ($self, @arguments) = @_;
    my $said = `callgrind_control @arguments $self->{pid} 2>&1`;
    die "callgrind_control @arguments: $said\n" if $?;
}

# The instructions that the server spends while the code runs.
sub counted {
    my ($self, $code) = @_;
    $self->control('-z');
    $code->();
    unlink glob "$self->{dir}/counted.*";
    $self->control('-d');
    my ($dump) = glob "$self->{dir}/counted.$self->{pid}*" or die "callgrind wrote nothing\n";
    return OIDC::Nginx::slurp($dump) =~ /^totals: (\d+)/m ? $1 : die "no totals in $dump\n";
}

1;
