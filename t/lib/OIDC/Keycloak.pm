package OIDC::Keycloak;

# Keycloak from Maven Central, on Java: it takes its time and half a gigabyte, so only `make test-all` starts it.

use strict;
use warnings;

use File::Path qw(make_path remove_tree);
use JSON::PP ();
use OIDC::Browser;
use OIDC::Nginx;
use POSIX ();

my $release = '26.7.3';
my $json = JSON::PP->new->utf8->canonical;

sub folder { return ($ENV{OIDC_BUILD} || "$OIDC::Nginx::CHECKOUT/build") . '/keycloak' }

# Why there is none, or undef. It is fetched when it is not there.
sub missing {
    my $folder = folder();
    return undef if -x "$folder/keycloak-$release/bin/kc.sh";
    make_path($folder);
    my $log = "$folder/install.log";
    system("cd '$folder' && mvn -B -ntp org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy -Dartifact=org.keycloak:keycloak-quarkus-dist:$release:zip -DoutputDirectory=. >install.log 2>&1"
            . " && unzip -q keycloak-quarkus-dist-$release.zip >>install.log 2>&1 && rm keycloak-quarkus-dist-$release.zip") == 0
        or return "Keycloak cannot be had, see $log";
    return undef;
}

# Starts it with one realm, `demo`: the user alice (password wonderland) and these clients, as Keycloak's import has them.
sub new {
    my ($class, @clients) = @_;
    my $home = folder() . "/keycloak-$release";
    remove_tree("$home/data");
    make_path("$home/data/import");
    my $user = { username => 'alice', enabled => \1, email => 'alice@example.test', emailVerified => \1, firstName => 'Alice', lastName => 'Liddell',
        credentials => [{ type => 'password', value => 'wonderland', temporary => \0 }] };
    open my $file, '>', "$home/data/import/demo-realm.json" or die "cannot write: $!\n";
    print $file $json->encode({ realm => 'demo', enabled => \1, sslRequired => 'none', clients => \@clients,
        users => [$user, { %$user, username => 'bob', email => 'bob@example.test', firstName => 'Bob' }] });
    close $file;
    my $self = bless { owner => $$, log => folder() . '/keycloak.log', port => OIDC::Nginx::free_port() }, $class;
    $self->{base} = "http://127.0.0.1:$self->{port}";
    $self->launch($home);
    my $up = sub { (eval { OIDC::Browser->new(base => $self->{base})->get('/realms/demo/.well-known/openid-configuration')->status } // 0) == 200 };
    OIDC::Nginx::wait_until($up, 240) or die 'Keycloak does not answer: ' . substr(OIDC::Nginx::slurp($self->{log}), -3000);
    return $self;
}

sub launch {
    my ($self, $home) = @_;
    $self->{pid} = fork // die "fork: $!";
    return if $self->{pid};
    setpgrp;
    delete @ENV{ grep { /_proxy$/i } keys %ENV };
    @ENV{qw(KC_BOOTSTRAP_ADMIN_USERNAME KC_BOOTSTRAP_ADMIN_PASSWORD JAVA_OPTS_KC_HEAP)} = ('admin', 'admin', '-Xms64m -Xmx512m');
    open STDIN, '<', '/dev/null';
    open STDOUT, '>', $self->{log};
    open STDERR, '>&', \*STDOUT;
    exec "$home/bin/kc.sh", 'start-dev', '--http-host', '127.0.0.1', '--http-port', $self->{port}, '--import-realm', '--cache', 'local' or POSIX::_exit(127);
}

sub issuer { return "$_[0]{base}/realms/demo" }

# Goes from the answer that sends the browser to Keycloak through its sign-in page. Returns the answer that sends it back.
sub at_provider {
    my ($browser, $begun, $user) = @_;
    die 'no redirect to the provider but ' . $begun->status . ': ' . $begun->body . "\n" unless $begun->is_redirect;
    my $page = $browser->get($begun->location, from => $begun->url);
    return $page if $page->is_redirect;
    my ($action) = $page->body =~ /<form[^>]* action="([^"]*)"/ or die 'Keycloak says ' . $page->status . ': ' . $page->body . "\n";
    return $browser->post(OIDC::Browser::html_unescape($action), { username => $user, password => 'wonderland', credentialId => '' }, from => $page->url);
}

# The whole way to a page, or the answer to the callback when that is no redirect.
sub sign_in {
    my ($browser, $address, $user) = @_;
    my $back = at_provider($browser, $browser->get($address), $user);
    my $answer = $browser->open_callback($back->location);
    return $answer unless $answer->is_redirect;
    return $browser->get($browser->resolve($answer->location, $answer->url), site => 'cross-site');
}

# Tokens for a client that may ask for them with a password.
sub tokens {
    my ($self, $realm, %form) = @_;
    return OIDC::Browser->new(base => $self->{base})->post("$self->{base}/realms/$realm/protocol/openid-connect/token", { grant_type => 'password', %form })->json;
}

# A call to the admin's interface of the realm.
sub admin {
    my ($self, $method, $path) = @_;
    my $token = $self->tokens('master', client_id => 'admin-cli', username => 'admin', password => 'admin')->{access_token};
    return OIDC::Browser->new(base => $self->{base})->request($method, "$self->{base}/admin/realms/demo$path", headers => { Authorization => "Bearer $token" });
}

sub stop {
    my ($self) = @_;
    my $pid = delete $self->{pid} or return;
    kill 'TERM', -$pid;
    waitpid $pid, 0;
}

sub DESTROY {
    my ($self) = @_;
    local ($?, $@);
    $self->stop if $self->{owner} == $$;
}

1;
