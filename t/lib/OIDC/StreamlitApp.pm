package OIDC::StreamlitApp;

# Streamlit itself, from PyPI, in a virtual environment of the build folder: made when a test first asks for it.

use strict;
use warnings;

use File::Path qw(make_path);
use File::Temp qw(tempdir);
use OIDC::Browser;
use OIDC::Nginx;
use POSIX ();

my $release = 'streamlit[auth]==1.67.0';
my %running;

sub folder { return ($ENV{OIDC_BUILD} || "$OIDC::Nginx::CHECKOUT/build") . '/streamlit' }

# Why there is none, or undef. Two tests at once make one.
sub missing {
    my $folder = folder();
    make_path($folder);
    open my $lock, '>', "$folder/lock" or die "cannot write $folder/lock: $!\n";
    flock $lock, 2;
    return undef if -x "$folder/bin/streamlit" && -e "$folder/complete";
    my $log = "$folder/install.log";
    system("python3 -m venv '$folder' >'$log' 2>&1 && '$folder/bin/pip' install --disable-pip-version-check -q '$release' >>'$log' 2>&1") == 0
        or return OIDC::Nginx::slurp($log) =~ /No matching distribution|Connection|resolve|timed out|Network/i ? "PyPI cannot be reached, see $log" : die "Streamlit was not installed, see $log\n";
    open my $mark, '>', "$folder/complete" or die "cannot write: $!\n";
    return undef;
}

# Runs t/real/streamlit/app.py with this secrets.toml. Options: logins, base_path, flags.
sub new {
    my ($class, $secrets, %option) = @_;
    my $dir = tempdir('oidc-streamlit-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    my $self = bless { dir => $dir, owner => $$ }, $class;
    make_path("$dir/.streamlit");
    open my $file, '>', "$dir/.streamlit/secrets.toml" or die "cannot write: $!\n";
    print $file $secrets;
    close $file;
    @$self{qw(port pid)} = launch($dir, %option);
    return $self;
}

# Starts it in a folder with .streamlit/secrets.toml. Returns its port and its process, which goes on after us.
sub launch {
    my ($dir, %option) = @_;
    my $port = OIDC::Nginx::free_port();
    my $base = $option{base_path} // '';
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        setpgrp;
        chdir $dir or die "chdir: $!";
        delete @ENV{ grep { /_proxy$/i } keys %ENV };
        $ENV{LOGINS} = $option{logins} // '';
        $ENV{HOME} = $dir;
        open STDIN, '<', '/dev/null';
        open STDOUT, '>', "$dir/streamlit.log";
        open STDERR, '>&', \*STDOUT;
        exec folder() . '/bin/streamlit', 'run', "$OIDC::Nginx::CHECKOUT/t/real/streamlit/app.py", '--server.address', '127.0.0.1', '--server.port', $port,
            '--server.headless', 'true', '--browser.gatherUsageStats', 'false', '--server.fileWatcherType', 'none',
            ($base ? ('--server.baseUrlPath', $base) : ()), @{ $option{flags} || [] } or POSIX::_exit(127);
    }
    my $browser = OIDC::Browser->new(base => "http://127.0.0.1:$port");
    OIDC::Nginx::wait_until(sub { (eval { $browser->get("$base/_stcore/health")->status } // 0) == 200 }) or die 'Streamlit does not answer: ' . OIDC::Nginx::slurp("$dir/streamlit.log");
    return ($port, $pid);
}

# What a line of Python prints there.
sub python {
    my ($code, @arguments) = @_;
    open my $out, '-|', folder() . '/bin/python', '-W', 'ignore', '-c', $code, @arguments or die "python: $!\n";
    my $text = do { local $/; <$out> } // '';
    close $out;
    chomp $text;
    return $text;
}

sub port { return $_[0]{port} }

sub stop {
    my ($self) = @_;
    my $pid = delete $self->{pid} or return;
    kill 'TERM', $pid;
    waitpid $pid, 0;
}

sub DESTROY {
    my ($self) = @_;
    local ($?, $@);
    $self->stop if $self->{owner} == $$;
}

1;
