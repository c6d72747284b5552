package OIDC::Nginx;

# A real nginx in a directory of its own. Placeholders in the configuration: %%PORT_name%% (a free port, kept for that name)
# and %%DIR%%. When it stops it looks through its own logs and asserts that nothing bad and nothing secret is in them.

use strict;
use warnings;
use parent -norequire, 'OIDC::Logs';

use Cwd qw(abs_path);
use Fcntl qw(:flock);
use File::Basename qw(dirname);
use File::Path ();
use File::Spec ();
use File::Temp qw(tempdir);
use IO::Socket::INET;
use OIDC::Logs;
use POSIX qw(WNOHANG);
use Test::More ();
use Time::HiRes qw(time sleep);

our $CHECKOUT = abs_path(dirname(__FILE__) . '/../../..');

my (%running, %port_locks);

# An interrupted test must still run its END blocks, or its nginx stays behind.
$SIG{INT} = $SIG{TERM} = sub { exit 1 };
$SIG{PIPE} = 'IGNORE';

# ---- what all share -------------------------------------------------------------------------------------------------

# How many seconds something may take before it counts as lost. Slow tools get more.
sub patience {
    return 150 if $ENV{OIDC_VALGRIND};
    return $ENV{OIDC_PATIENCE} || 15;
}

# Calls the code every few milliseconds until it is true or patience ends. Returns what the code returned.
sub wait_until {
    my ($code, $seconds) = @_;
    my $deadline = time() + ($seconds || patience());
    while (1) {
        my $found = $code->();
        return $found if $found;
        return if time() > $deadline;
        sleep 0.005;
    }
}

# A port below the range of outgoing connections. The lock file keeps it ours among tests that run side by side.
sub free_port {
    my $dir = File::Spec->tmpdir . "/oidc-test-ports-$<";
    mkdir $dir;
    for (1 .. 500) {
        my $port = 12000 + int rand 20000;
        next if $port_locks{$port};
        open my $lock, '>', "$dir/$port" or die "cannot open $dir/$port: $!";
        next unless flock $lock, LOCK_EX | LOCK_NB;
        my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Proto => 'tcp', Listen => 1, ReuseAddr => 1);
        next unless $socket;
        $port_locks{$port} = $lock;
        return $port;
    }
    die "no free port found\n";
}

sub slurp {
    my ($path) = @_;
    open my $file, '<:raw', $path or return '';
    local $/;
    return scalar(<$file>) // '';
}

# What tests and helpers use of OIDC::Logs.
sub secret { OIDC::Logs::secret(@_) }
sub not_secret { OIDC::Logs::not_secret(@_) }
sub collect_secrets { OIDC::Logs::collect_secrets(@_) }

sub nginx_binary {
    return $ENV{OIDC_NGINX} if $ENV{OIDC_NGINX};
    for my $dir (split(/:/, $ENV{PATH}), '/usr/sbin', '/usr/local/sbin') {
        return "$dir/nginx" if -x "$dir/nginx";
    }
    die "no nginx found: set OIDC_NGINX\n";
}

sub module_file {
    return $ENV{OIDC_MODULE} || ($ENV{OIDC_BUILD} || "$CHECKOUT/build") . '/ngx_http_auth_oidc_module.so';
}

my $build;
sub build { return $build //= do { my $nginx = nginx_binary(); scalar `$nginx -V 2>&1` } }

# ---- configuration --------------------------------------------------------------------------------------------------

sub new {
    my ($class, %option) = @_;
    my $self = bless {
        workers => 1, main => '', events => '', log_level => 'info', module => 1, ports => {}, allowed => [],
        owner => $$, environment => {}, %option,
    }, $class;
    $self->{dir} = tempdir('oidc-nginx-XXXXXX', TMPDIR => 1, CLEANUP => 0);
    chmod 0755, $self->{dir};
    chown scalar(getpwnam 'nobody'), -1, $self->{dir} if $> == 0;
    $self->own_clock if $option{clock};
    $self->configure(http => $option{http}) if defined $option{http};
    return $self;
}

# ---- a clock of its own (option clock => 1) -------------------------------------------------------------------------

# Where that is possible: sanitizers and valgrind want to be the first library themselves.
sub faketime { return $ENV{OIDC_NGINX} || $ENV{OIDC_VALGRIND} ? undef : (glob '/usr/lib/*/faketime/libfaketimeMT.so.1')[0] }

# Only the time of day moves; timers go on as they are.
sub own_clock {
    my ($self) = @_;
    $self->{environment} = { LD_PRELOAD => faketime(), FAKETIME_TIMESTAMP_FILE => "$self->{dir}/clock", FAKETIME_NO_CACHE => 1, DONT_FAKE_MONOTONIC => 1, FAKETIME_DONT_FAKE_MONOTONIC => 1 };
    $self->{main} .= join '', map { "env $_;" } sort keys %{ $self->{environment} };
    return $self->clock(0);
}

# From now on it is so many seconds later than it is.
sub clock {
    my ($self, $seconds) = @_;
    $self->write_file('clock.new', sprintf "%+d\n", $seconds);
    rename "$self->{dir}/clock.new", "$self->{dir}/clock" or die "rename: $!";
    return $self;
}

sub dir { return $_[0]{dir} }
sub port { my ($self, $name) = @_; return $self->{ports}{$name} //= free_port() }

sub expand {
    my ($self, $text) = @_;
    $text =~ s/%%PORT_(\w+)%%/$self->port($1)/ge;
    $text =~ s/%%DIR%%/$self->{dir}/g;
    return $text;
}

# Replaces parts of the configuration. Takes effect with start or reload.
sub configure {
    my ($self, %part) = @_;
    @$self{keys %part} = values %part;
    $self->write_file('nginx.conf', $self->text($self->{http}));
    return $self;
}

sub text {
    my ($self, $http) = @_;
    my $user = $> == 0 ? 'user nobody ' . (getgrnam('nogroup') ? 'nogroup' : 'nobody') . ';' : '';
    my $load = $self->{module} ? 'load_module ' . module_file() . ';' : '';
    my $temp = join "\n    ", map { "${_}_temp_path %%DIR%%/$_;" } 'client_body',
        grep { build() !~ /--without-http_${_}_module/ } qw(proxy fastcgi uwsgi scgi);
    return <<"END";
$user
daemon off;
worker_processes $self->{workers};
pid %%DIR%%/nginx.pid;
error_log %%DIR%%/error.log $self->{log_level};
$load
$self->{main}
events {
    worker_connections 512;
    $self->{events}
}
http {
    access_log %%DIR%%/access.log;
    $temp
    default_type text/plain;
$http
}
END
}

# A file in nginx's directory, placeholders filled in. Returns its path.
sub write_file {
    my ($self, $name, $text, $mode) = @_;
    my $path = "$self->{dir}/$name";
    open my $file, '>', $path or die "cannot write $path: $!";
    print $file $self->expand($text);
    close $file or die "cannot write $path: $!";
    chmod $mode, $path if defined $mode;
    return $path;
}

# Runs `nginx -t` over a text of the http block. Called on the class it uses a directory of its own.
sub conf_test {
    my ($self, $http, %option) = @_;
    $self = $self->new(%option) unless ref $self;
    my $path = $self->write_file('test.conf', $self->text('include %%DIR%%/http.conf;'));
    $self->write_file('http.conf', $http);
    my $binary = nginx_binary();
    my @lines = split /\n/, do { local %ENV = clean_environment(); scalar `$binary -t -p $self->{dir} -c $path -e stderr 2>&1` };
    s/\Q$self->{dir}\E\///g for @lines;
    return @lines;
}

# The text of the first [emerg] line, such as 'unknown directive "x" in http.conf:1' (lines are those of the text), or undef.
sub conf_error {
    my @found = map { /\[emerg\] (?:\d+#\d+: )?(.*)/ ? $1 : () } conf_test(@_);
    return $found[0];
}

# The texts of all [warn] lines.
sub conf_warnings { return map { /\[warn\] (?:\d+#\d+: )?(.*)/ ? $1 : () } conf_test(@_) }

# ---- life -----------------------------------------------------------------------------------------------------------

sub clean_environment {
    my %env = %ENV;
    delete @env{qw(NGINX SSL_CERT_FILE SSL_CERT_DIR), grep { /_proxy$/i } keys %env};
    my $asan = $env{ASAN_OPTIONS} // 'detect_leaks=0';
    $env{ASAN_OPTIONS} = $asan =~ /detect_odr_violation/ ? $asan : "$asan:detect_odr_violation=0";
    return %env;
}

sub command {
    my ($self) = @_;
    my @command = (nginx_binary(), '-p', $self->{dir}, '-c', "$self->{dir}/nginx.conf", '-e', 'stderr');
    return @command unless $ENV{OIDC_VALGRIND};
    my @known = grep { -f } $ENV{OIDC_SUPPRESSIONS} || "$CHECKOUT/t/valgrind.supp";
    return ('valgrind', '-q', '--leak-check=no', "--log-file=$self->{dir}/valgrind.%p.log", (map { "--suppressions=$_" } @known), @command);
}

sub start {
    my ($self) = @_;
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        open STDIN, '<', '/dev/null';
        open STDOUT, '>>', "$self->{dir}/stderr.log";
        open STDERR, '>&', \*STDOUT;
        %ENV = clean_environment();
        @ENV{keys %{ $self->{environment} }} = values %{ $self->{environment} };
        exec { ($self->command)[0] } $self->command or POSIX::_exit(127);
    }
    $self->{pid} = $pid;
    $running{$self} = $self;
    # nginx writes its pid after the sockets listen: from then on connections are queued, none is refused.
    my $up = wait_until(sub { -s "$self->{dir}/nginx.pid" || ($self->gone ? -1 : 0) });
    return $self if ($up || 0) > 0 && $self->wait_workers;
    my $log = $self->error_log . slurp("$self->{dir}/stderr.log");
    $self->end_process('KILL');
    die "nginx did not start:\n$log\n";
}

sub gone {
    my ($self) = @_;
    return 1 unless $self->{pid};
    return 0 unless waitpid($self->{pid}, WNOHANG) == $self->{pid};
    $self->{status} = $?;
    delete $self->{pid};
    return 1;
}

sub master_pid { return $_[0]{pid} }

# Workers that serve (with `all`, also those that shut down). nginx names a worker when it is ready.
sub worker_pids {
    my ($self, %option) = @_;
    return unless $self->{pid};
    return $self->{pid} if $self->{main} =~ /master_process off/;
    my @children = split ' ', slurp("/proc/$self->{pid}/task/$self->{pid}/children");
    return @children if $option{all};
    # Under valgrind names cannot be seen; there every child counts.
    return $ENV{OIDC_VALGRIND} ? @children : grep { slurp("/proc/$_/cmdline") =~ /worker process\s*\0*\s*$/ } @children;
}

sub wait_workers {
    my ($self, @old) = @_;
    my %old = map { $_ => 1 } @old;
    return wait_until(sub { $self->gone || $self->{workers} <= grep { !$old{$_} } $self->worker_pids }) && !$self->gone;
}

# Waits until new workers serve and the old ones have left. Returns false, with the old configuration going on, when nginx
# refuses the new one. `keep_old => 1` does not wait for the old ones (one may be busy with a request).
sub reload {
    my ($self, %option) = @_;
    my @old = $self->worker_pids;
    my $seen = length $self->error_log;
    kill 'HUP', $self->{pid};
    my $refused = sub { substr($self->error_log, $seen) =~ /\[emerg\]/ };
    my %old = map { $_ => 1 } @old;
    my $ready = wait_until(sub { $refused->() || $self->{workers} <= grep { !$old{$_} } $self->worker_pids });
    die "nginx did not reload\n" unless $ready;
    if ($refused->()) {
        $self->allow(qr/\[emerg\]/);
        return 0;
    }
    return 1 if $option{keep_old};
    wait_until(sub { !grep { $old{$_} } $self->worker_pids(all => 1) }) or die "old workers did not leave\n";
    return 1;
}

# Kills one worker and waits for its successor. That nginx reports this as an alert is expected.
sub kill_worker {
    my ($self, $signal) = @_;
    my ($victim) = $self->worker_pids or die "no worker to kill\n";
    $self->allow(qr/exited on signal 9|shared memory zone .* was locked by/) if ($signal // 'KILL') eq 'KILL';
    kill $signal // 'KILL', $victim;
    wait_until(sub { !grep { $_ == $victim } $self->worker_pids(all => 1) }) or die "the worker did not die\n";
    $self->wait_workers($victim) or die "no new worker came\n";
    return $victim;
}

# An alert or emerg line that belongs to the test.
sub allow { my ($self, @patterns) = @_; push @{ $self->{allowed} }, @patterns }

sub end_process {
    my ($self, $signal) = @_;
    return 1 if $self->gone;
    kill $signal, $self->{pid};
    return wait_until(sub { $self->gone });
}

# A graceful end, which makes nginx report sockets that were left open; then the assertions.
sub stop {
    my ($self, $signal) = @_;
    return unless delete $running{$self};
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $left = $self->end_process($signal // 'QUIT');
    $self->end_process('KILL') unless $left;
    Test::More::ok($left, 'nginx left when it was told to');
    $self->assert_clean;
    $self->remove;
}

sub remove {
    my ($self) = @_;
    return if $ENV{OIDC_KEEP};
    File::Path::remove_tree($self->{dir}, { safe => 0, error => \my $ignored });
}

# One that was only made for `nginx -t`.
sub DESTROY {
    my ($self) = @_;
    local ($?, $@, $!);
    $self->remove if $self->{owner} == $$ && !$self->{pid};
}

# All that still run, for the end of a test.
sub stop_all { $_->stop for grep { $_->{owner} == $$ } values %running }

# A test that died: its nginx must not outlive it, and what is in its log helps.
END {
    my $status = $?;
    for my $self (grep { $_->{owner} == $$ } values %running) {
        $self->end_process('TERM') || $self->end_process('KILL');
        Test::More::diag("error.log ends with:\n" . join "\n", (split /\n/, $self->error_log)[-15 .. -1]) if $status && $self->error_log =~ /(?:\n.*){16}/;
        my @bad = ($self->alerts, $self->tool_errors, $self->leaks);
        Test::More::diag(join "\n", 'left running by the test, and its logs are not clean:', @bad) if @bad;
        $status ||= 1 if @bad;
        $self->remove;
    }
    $? = $status;
}

1;
