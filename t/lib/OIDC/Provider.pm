package OIDC::Provider;

# A mock OpenID Provider: an honest and strict one, until a knob makes it lie. It runs in a process of its own and speaks plain HTTP;
# with tls => 1 its issuer is https, and the nginx under test is its TLS front: a call that blocks the worker never ends.

use strict;
use warnings;

use File::Path ();
use File::Temp qw(tempdir);
use JSON::PP ();
use OIDC::Form qw(escape random_token);
use OIDC::Nginx;
use OIDC::Provider::Daemon;
use OIDC::Provider::Keys;
use POSIX ();
use Socket;

my $json = JSON::PP->new->canonical->utf8->allow_nonref;
my %running;

my %known = map { $_ => 1 } qw(claims drop json append alg key header header_json header_append header_text payload hmac signature
    mangle id_token keys metadata callback callback_add response
    discovery jwks authorize token refresh userinfo end_session revoke introspect par check_session session_state);

# Options with their defaults; any other member of the provider's metadata goes into `metadata`.
sub new {
    my ($class, %option) = @_;
    my $dir = tempdir('oidc-provider-XXXXXX', TMPDIR => 1, CLEANUP => 0);
    chmod 0755, $dir;
    my %config = (
        client_id => 'web-app:1', client_secret => 's3cr3t:with+odd/chars%and=blank or ' . random_token(24),
        auth_method => 'client_secret_basic', algs => ['RS256'], pkce => 'required', rotate => 1, refresh_tokens => 1, expires_in => 3600,
        user => { sub => 'alice', name => 'Alice Liddell', email => 'alice@example.com', email_verified => JSON::PP::true, groups => [qw(staff admin)] },
        dir => $dir, port => OIDC::Nginx::free_port(), base_path => '', host => '127.0.0.1', tls => 1, %option,
    );
    $config{tls_port} //= OIDC::Nginx::free_port() if $config{tls};
    $config{origin} = $config{tls} ? "https://$config{host}:$config{tls_port}" : "http://$config{host}:$config{port}";
    $config{issuer} //= $config{origin} . $config{base_path};
    my $self = bless { config => \%config, knobs => {}, owner => $$ }, $class;
    OIDC::Nginx::secret($config{client_secret}, escape($config{client_secret}));
    OIDC::Nginx::collect_secrets(sub { $self->{control} ? @{ $self->order('secrets') } : @{ $self->{kept_secrets} || [] } });
    OIDC::Provider::Keys->new($dir)->certificates;
    return $self->start;
}

sub start {
    my ($self) = @_;
    socketpair my $ours, my $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC or die "socketpair: $!";
    $_->autoflush(1) for $ours, $theirs;
    # The socket listens before the fork: nobody can come too early.
    my $listener = OIDC::Provider::Daemon::listener($self->{config}{port}) or die "cannot listen: $!\n";
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        # Other providers end when their control socket closes: a copy held here would keep them.
        close $_ for $ours, map { $_->{control} } values %running;
        eval { OIDC::Provider::Daemon->new(config => $self->{config}, control => $theirs, listener => $listener)->run };
        print STDERR "mock provider: $@";
        POSIX::_exit(1);
    }
    @$self{qw(pid control)} = ($pid, $ours);
    $running{$self} = $self;
    return $self;
}

sub stop {
    my ($self) = @_;
    return unless delete $running{$self};
    $self->{kept_secrets} = eval { $self->order('secrets') } || [];
    close delete $self->{control};
    waitpid delete $self->{pid}, 0;
    File::Path::remove_tree($self->{config}{dir}) unless $ENV{OIDC_KEEP};
}

sub stop_all { $_->stop for grep { $_->{owner} == $$ } values %running }

END {
    my $status = $?;
    stop_all();
    $? = $status;
}

# ---- facts ----------------------------------------------------------------------------------------------------------

sub issuer { return $_[0]{config}{issuer} }
sub origin { return $_[0]{config}{origin} }
sub client_id { return $_[0]{config}{client_id} }
sub client_secret { return $_[0]{config}{client_secret} }
sub dir { return $_[0]{config}{dir} }
sub ca { return "$_[0]{config}{dir}/ca.pem" }
sub port { return $_[0]{config}{port} }
sub certificate { my $dir = $_[0]->dir; return "ssl_certificate $dir/server.pem; ssl_certificate_key $dir/server.key;" }
sub plain_origin { return "http://127.0.0.1:$_[0]{config}{port}" }

# The server block that makes the nginx under test the TLS front. `$more` goes into it.
sub tls_front {
    my ($self, $more) = @_;
    return '' unless $self->{config}{tls};
    my $certificate = $self->certificate;
    my $client = $self->{config}{auth_method} =~ /tls_client_auth$/
        ? 'ssl_verify_client optional_no_ca;' : '';
    $more //= '';
    return <<"END";
    server {
        listen 127.0.0.1:$self->{config}{tls_port} ssl;
        $certificate
        access_log off;
        $client
        $more
        location / {
            proxy_pass http://127.0.0.1:$self->{config}{port};
            proxy_set_header Host \$http_host;
            proxy_set_header X-SNI \$ssl_server_name;
            proxy_set_header X-Client-DN \$ssl_client_s_dn;
            proxy_buffering off;
            proxy_redirect off;
        }
    }
END
}

# ---- orders to the process ------------------------------------------------------------------------------------------

sub order {
    my ($self, $order, %with) = @_;
    my $control = $self->{control} or die "the provider has stopped\n";
    print $control $json->encode({ order => $order, %with }) . "\n";
    my $line = <$control> // die "the mock provider died\n";
    my $answer = $json->decode($line);
    die "mock provider: $answer->{error}" if defined $answer->{error};
    return $answer->{value};
}

# with(knob => value, ..., sub { ... }): the knobs hold while the code runs, on top of those that hold already.
sub with {
    my ($self, @knobs) = @_;
    my $code = pop @knobs;
    my $before = $self->{knobs};
    $self->set(@knobs);
    my @result = eval { wantarray ? $code->() : scalar $code->() };
    my $error = $@;
    $self->{knobs} = $before;
    $self->order('knobs', knobs => $before);
    die $error if $error;
    return wantarray ? @result : $result[0];
}

# The same until the next set of that knob; undef removes it, except for id_token, where it means none.
sub set {
    my ($self, %knobs) = @_;
    $known{$_} or die "unknown knob: $_\n" for keys %knobs;
    my %all = (%{ $self->{knobs} }, %knobs);
    delete @all{ grep { !defined $all{$_} && $_ ne 'id_token' } keys %all };
    $self->{knobs} = \%all;
    $self->order('knobs', knobs => \%all);
}

# Lasting changes of what it is: user, algs, expires_in, rotate, auth_method ...
sub configure {
    my ($self, %config) = @_;
    @{ $self->{config} }{ keys %config } = values %config;
    $self->order('config', config => \%config);
}

# Requests as they came: endpoint, method, path, query, form, headers (lower case), body, refused (why, when it was not right);
# query_all and form_all have every pair. authorize also has `sid`.
sub journal {
    my ($self, $endpoint) = @_;
    return grep { !defined $endpoint || $_->{endpoint} eq $endpoint } @{ $self->order('journal') };
}

sub last { my ($self, $endpoint) = @_; return ($self->journal($endpoint))[-1] }
sub count { my ($self, $endpoint) = @_; return scalar(my @all = $self->journal($endpoint)) }
sub refused { my ($self) = @_; return map { "$_->{endpoint}: $_->{refused}" } grep { defined $_->{refused} } $self->journal }
sub forget { $_[0]->order('clear') }

# Waits until so many requests have come to an endpoint.
sub wait_for {
    my ($self, $endpoint, $count) = @_;
    $count //= 1;
    return OIDC::Nginx::wait_until(sub { $self->count($endpoint) >= $count }) || die "no $endpoint request came\n";
}

# From now on requests to this endpoint wait, until release.
sub hold { my ($self, $endpoint) = @_; $self->order('hold', endpoint => $endpoint) }
sub held { my ($self, $endpoint) = @_; return $self->order('held', endpoint => $endpoint) }
sub release { my ($self, $endpoint) = @_; $self->order('release', endpoint => $endpoint) }

sub wait_held {
    my ($self, $endpoint, $count) = @_;
    $count //= 1;
    return OIDC::Nginx::wait_until(sub { $self->held($endpoint) >= $count }) || die "no $endpoint request is held\n";
}

# Nobody listens any more (connection refused), and back again.
sub down { $_[0]->order('down') }
sub up { $_[0]->order('up') }

# A signed token with these claims. `how`: alg, key, header, signature, ... as the knobs.
sub sign {
    my ($self, $claims, %how) = @_;
    return $self->order('sign', claims => $claims, how => \%how);
}

# OpenID Back-Channel Logout 2.4. Claims given replace the usual ones, undef removes; { how => {...} } as for sign.
sub logout_token {
    my ($self, %claims) = @_;
    my $how = delete $claims{how} || {};
    my %all = (
        iss => $self->issuer, aud => $self->client_id, iat => time, exp => time + 120, jti => random_token(16),
        events => { 'http://schemas.openid.net/event/backchannel-logout' => {} }, %claims,
    );
    delete @all{ grep { !defined $all{$_} } keys %all };
    return $self->sign(\%all, header => { typ => 'logout+jwt' }, %$how);
}

1;
