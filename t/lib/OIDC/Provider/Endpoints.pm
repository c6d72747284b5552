package OIDC::Provider::Endpoints;

# What the mock provider answers. It is strict: a request that is not exactly right is refused, with the reason in the journal
# entry's `refused`, so that the provider tests us.

use strict;
use warnings;

use Digest::SHA qw(sha256 hmac_sha256 hmac_sha384 hmac_sha512);
use JSON::PP ();
use MIME::Base64 qw(decode_base64 decode_base64url encode_base64url);
use OIDC::Form qw(form_encode random_token unescape);

my $json = JSON::PP->new->canonical->utf8->allow_nonref;
my %names = ('/.well-known/openid-configuration' => 'discovery', map { ("/$_" => $_) } qw(jwks authorize token userinfo end_session revoke introspect par check_session session_state));

sub new { my ($class, %option) = @_; return bless { %option, codes => {}, access => {}, refresh => {}, pushed => {}, secrets => [] }, $class }

# A refresh goes to the token endpoint, and has a name and knobs of its own.
sub name {
    my ($self, $request) = @_;
    my $path = $request->{path};
    $path =~ s/^\Q$self->{config}{base_path}\E// if length($self->{config}{base_path} // '');
    my $name = $names{$path} // 'unknown';
    return $name eq 'token' && ($request->{form}{grant_type} // '') eq 'refresh_token' ? 'refresh' : $name;
}

sub answer {
    my ($self, $request, $knobs) = @_;
    my $method = "at_$request->{endpoint}";
    return $self->$method($request, $knobs);
}

sub secrets { return $_[0]{secrets} }
sub made { my ($self, $secret) = @_; push @{ $self->{secrets} }, $secret; return $secret }

sub refuse {
    my ($request, $error, $why, $status) = @_;
    $request->{refused} = $why;
    my %headers = $error eq 'invalid_client' ? ('WWW-Authenticate' => 'Basic realm="mock"') : ();
    return { status => $status // ($error eq 'invalid_client' ? 401 : 400), json => { error => $error, error_description => $why }, headers => \%headers };
}

sub at_unknown { return { status => 404, body => "no such endpoint\n", type => 'text/plain' } }

# ---- discovery and keys ---------------------------------------------------------------------------------------------

sub at_discovery {
    my ($self, $request, $knobs) = @_;
    my $config = $self->{config};
    my $issuer = $config->{issuer} =~ s{/$}{}r;
    my %metadata = (
        issuer                   => $config->{issuer},
        authorization_endpoint   => "$issuer/authorize",
        token_endpoint           => "$issuer/token",
        jwks_uri                 => "$issuer/jwks",
        userinfo_endpoint        => "$issuer/userinfo",
        end_session_endpoint     => "$issuer/end_session",
        revocation_endpoint      => "$issuer/revoke",
        introspection_endpoint   => "$issuer/introspect",
        response_types_supported => ['code'],
        subject_types_supported  => ['public'],
        code_challenge_methods_supported               => ['S256'],
        id_token_signing_alg_values_supported          => $config->{algs},
        token_endpoint_auth_methods_supported          => [$config->{auth_method}],
        authorization_response_iss_parameter_supported => JSON::PP::true,
        backchannel_logout_supported                   => JSON::PP::true,
        $config->{par} ? (pushed_authorization_request_endpoint => "$issuer/par") : (),
        $config->{check_session} ? (check_session_iframe => "$issuer/check_session") : (),
        %{ $config->{metadata} || {} },
    );
    my $text = OIDC::Provider::Keys::document(\%metadata, set => $knobs->{metadata}, map { $_ => $knobs->{discovery}{$_} } qw(drop json append));
    return { body => $text };
}

# The knob `keys` is a list of names (kid follows the name) and literal JWKs; a name of a key with changes is { name, ...members }.
sub at_jwks {
    my ($self, $request, $knobs) = @_;
    my $wanted = $knobs->{keys} // [do { my %seen; grep { !$seen{$_}++ } map { OIDC::Provider::Keys::default_key($_) } grep { !/^HS/ } @{ $self->{config}{algs} } }];
    my @keys = map { ref $_ ? $self->changed_key($_) : $self->{keys}->jwk($_) } @$wanted;
    return { json => { keys => \@keys } };
}

sub changed_key {
    my ($self, $key) = @_;
    my %change = %$key;
    my $name = delete $change{name};
    my %all = (defined $name ? %{ $self->{keys}->jwk($name) } : (), %change);
    delete @all{ grep { !defined $all{$_} } keys %all };
    return \%all;
}

# ---- authorization --------------------------------------------------------------------------------------------------

sub page { my ($request, $why) = @_; $request->{refused} = $why; return { status => 400, body => "refused: $why\n", type => 'text/plain' } }

sub duplicate { my %seen; return (grep { $seen{ $_->[0] }++ } @_)[0] }

sub at_authorize {
    my ($self, $request, $knobs) = @_;
    my $config = $self->{config};
    my $pair = duplicate(@{ $request->{query_all} });
    return page($request, "parameter $pair->[0] twice") if $pair;
    my $query = $request->{query};
    $query = $self->{pushed}{ $query->{request_uri} } || return page($request, 'unknown request_uri') if defined $query->{request_uri};
    return page($request, 'client_id') unless ($query->{client_id} // '') eq $config->{client_id};
    return page($request, 'response_type') unless ($query->{response_type} // '') eq 'code';
    return page($request, 'redirect_uri') unless length($query->{redirect_uri} // '');
    my $allowed = $config->{redirect_uris};
    return page($request, "redirect_uri $query->{redirect_uri} is not registered") if $allowed && !grep { $_ eq $query->{redirect_uri} } @$allowed;
    return page($request, 'scope without openid') unless grep { $_ eq 'openid' } split / /, $query->{scope} // '';
    return page($request, 'no state') unless length($query->{state} // '');
    return page($request, 'PKCE') if $config->{pkce} eq 'required' && ($query->{code_challenge_method} // '') ne 'S256';
    my %answer = (state => $query->{state}, iss => $config->{issuer}, $config->{check_session} ? (session_state => 'hash.salt') : ());
    my $callback = $knobs->{callback} || {};
    if (!defined $callback->{error}) {
        $self->{signed_out} = 0;
        my $code = $answer{code} = $self->made(random_token());
        $request->{sid} = random_token(12);
        $self->{codes}{$code} = { query => $query, sid => $request->{sid}, auth_time => time };
    }
    return $self->callback_answer($query, { %answer, %$callback }, $knobs);
}

sub callback_answer {
    my ($self, $query, $answer, $knobs) = @_;
    my @pairs = ((map { [$_, $answer->{$_}] } sort keys %$answer), @{ $knobs->{callback_add} || [] });
    my $mode = $query->{response_mode} // 'query';
    @pairs = ([response => $self->response_token($answer, $knobs)]) if $mode eq 'jwt';
    return { status => 302, headers => { Location => join_query($query->{redirect_uri}, form_encode(\@pairs)) }, body => '', type => 'text/plain' }
        unless $mode eq 'form_post';
    my $inputs = join '', map { '<input type="hidden" name="' . html($_->[0]) . '" value="' . html($_->[1]) . '">' } grep { defined $_->[1] } @pairs;
    return { body => '<form method="post" action="' . html($query->{redirect_uri}) . "\">$inputs</form>", type => 'text/html' };
}

# JWT Secured Authorization Response Mode: the same parameters, signed.
sub response_token {
    my ($self, $answer, $knobs) = @_;
    my %claims = (%$answer, iss => $self->{config}{issuer}, aud => $self->{config}{client_id}, exp => time + 60);
    return $self->{keys}->token(OIDC::Provider::Keys::document(\%claims), %{ $knobs->{response} || {} });
}

sub join_query { my ($uri, $query) = @_; return $uri . ($uri =~ /\?/ ? '&' : '?') . $query }
sub html { my ($text) = @_; my %entity = ('&' => 'amp', '<' => 'lt', '>' => 'gt', '"' => 'quot'); return $text =~ s/([&<>"])/&$entity{$1};/gr }

sub at_par {
    my ($self, $request) = @_;
    my $refused = $self->refuse_client($request);
    return $refused if $refused;
    my $uri = 'urn:ietf:params:oauth:request_uri:' . random_token(16);
    $self->{pushed}{$uri} = $request->{form};
    return { status => 201, json => { request_uri => $uri, expires_in => 60 } };
}

# ---- client authentication ------------------------------------------------------------------------------------------

# Exactly the configured method, and no second one beside it (RFC 6749 2.3). Returns a refusal or nothing.
sub refuse_client {
    my ($self, $request) = @_;
    my $wrong = $self->client_fault($request);
    return $wrong ? refuse($request, 'invalid_client', $wrong) : undef;
}

sub client_fault {
    my ($self, $request) = @_;
    my ($config, $form) = ($self->{config}, $request->{form});
    my $method = $config->{auth_method};
    my $basic = $request->{headers}{authorization};
    return 'an Authorization header that was not asked for' if defined $basic && $method ne 'client_secret_basic';
    return 'a client_secret in the form' if defined $form->{client_secret} && $method ne 'client_secret_post';
    return 'an assertion that was not asked for' if defined $form->{client_assertion} && $method !~ /_jwt$/;
    return 'client_id of somebody else' if defined $form->{client_id} && $form->{client_id} ne $config->{client_id};
    if ($method eq 'client_secret_basic') {
        return 'no Basic credentials' unless ($basic // '') =~ /^Basic ([A-Za-z0-9+\/]+=*)$/;
        $self->made($1);
        my ($id, $secret) = map { unescape($_) } split /:/, decode_base64($1), 2;
        return 'wrong credentials' unless $id eq $config->{client_id} && ($secret // '') eq $config->{client_secret};
        return;
    }
    return $self->assertion_fault($form) if $method =~ /_jwt$/;
    return 'no client_id' unless defined $form->{client_id};
    return 'wrong client_secret' if $method eq 'client_secret_post' && ($form->{client_secret} // '') ne $config->{client_secret};
    return 'no client certificate' if $method =~ /tls_client_auth$/ && !length($request->{headers}{'x-client-dn'} // '');
    return;
}

# RFC 7523 2.2 and 3.
sub assertion_fault {
    my ($self, $form) = @_;
    my $config = $self->{config};
    return 'client_assertion_type' unless ($form->{client_assertion_type} // '') eq 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
    my ($head, $payload, $signature) = split /\./, $self->made($form->{client_assertion} // '');
    my ($header, $claims) = eval { map { $json->decode(decode_base64url($_)) } $head, $payload } or return 'client_assertion is no JWT';
    return 'iss and sub are not the client' if grep { ($claims->{$_} // '') ne $config->{client_id} } qw(iss sub);
    my @audience = ref $claims->{aud} ? @{ $claims->{aud} } : ($claims->{aud} // ());
    return 'aud names somebody else' unless grep { $_ eq $config->{issuer} || $_ eq "$config->{issuer}/token" } @audience;
    return 'exp' unless ($claims->{exp} // 0) > time && $claims->{exp} < time + 3600;
    return 'jti was used before' if !length($claims->{jti} // '') || $self->{assertions}{ $claims->{jti} }++;
    my ($text, $bytes) = ("$head.$payload", decode_base64url($signature));
    my %hmac = (HS256 => \&hmac_sha256, HS384 => \&hmac_sha384, HS512 => \&hmac_sha512);
    my $right = $config->{auth_method} eq 'client_secret_jwt'
        ? $hmac{ $header->{alg} } && $hmac{ $header->{alg} }->($text, $config->{client_secret}) eq $bytes
        : $self->{keys}->verifies($header->{alg}, $config->{client_public_key}, $text, $bytes);
    return $right ? undef : 'signature of the assertion';
}

# ---- tokens ---------------------------------------------------------------------------------------------------------

sub grant_fault {
    my ($self, $request) = @_;
    return refuse($request, 'invalid_request', 'method') unless $request->{method} eq 'POST';
    my $pair = duplicate(@{ $request->{form_all} });
    return refuse($request, 'invalid_request', "parameter $pair->[0] twice") if $pair;
    return $self->refuse_client($request);
}

sub at_token {
    my ($self, $request, $knobs) = @_;
    my $fault = $self->grant_fault($request);
    return $fault if $fault;
    my $form = $request->{form};
    return refuse($request, 'unsupported_grant_type', 'grant_type') unless ($form->{grant_type} // '') eq 'authorization_code';
    my $login = $self->{codes}{ $form->{code} // '' } or return refuse($request, 'invalid_grant', 'unknown code');
    $self->made($form->{code_verifier});
    return refuse($request, 'invalid_grant', 'code was used before') if $login->{used}++;
    my $query = $login->{query};
    return refuse($request, 'invalid_grant', 'redirect_uri differs') unless ($form->{redirect_uri} // '') eq $query->{redirect_uri};
    my $challenge = $query->{code_challenge} // '';
    my $verifier = defined $form->{code_verifier} ? encode_base64url(sha256($form->{code_verifier})) : '';
    return refuse($request, 'invalid_grant', 'code_verifier') unless $verifier eq $challenge;
    return $self->tokens($login, $knobs, $query->{nonce}, $form->{code});
}

sub at_refresh {
    my ($self, $request, $knobs) = @_;
    my $fault = $self->grant_fault($request);
    return $fault if $fault;
    my $old = $request->{form}{refresh_token} // '';
    my $login = delete $self->{refresh}{$old} or return refuse($request, 'invalid_grant', 'refresh_token');
    $self->{refresh}{$old} = $login unless $self->{config}{rotate};
    return $self->tokens($login, $knobs, undef, undef);
}

sub tokens {
    my ($self, $login, $knobs, $nonce, $code) = @_;
    my $config = $self->{config};
    my $access = $self->made(random_token());
    $self->{access}{$access} = $login;
    my %answer = (access_token => $access, token_type => 'Bearer', expires_in => $config->{expires_in}, scope => $login->{query}{scope});
    if ($config->{refresh_tokens}) {
        my $refresh = $answer{refresh_token} = $self->made(random_token());
        $self->{refresh}{$refresh} = $login;
    }
    my $id_token = $self->id_token($login, { access_token => $access, nonce => $nonce, code => $code }, $knobs);
    $answer{id_token} = $self->made($id_token) if defined $id_token;
    return { json => \%answer, headers => { 'Cache-Control' => 'no-store' } };
}

sub half_hash { my ($alg, $text) = @_; my $hash = Digest::SHA->new($alg =~ /(\d+)$/ ? $1 : 512)->add($text)->digest; return encode_base64url(substr $hash, 0, length($hash) / 2) }

sub id_token {
    my ($self, $login, $with, $knobs) = @_;
    return $knobs->{id_token} if exists $knobs->{id_token};
    my ($config, $now) = ($self->{config}, time);
    my $alg = $knobs->{alg} // $config->{algs}[0];
    my %claims = (
        %{ $config->{user} },
        iss => $config->{issuer}, aud => $config->{client_id}, iat => $now, exp => $now + 3600, auth_time => $login->{auth_time},
        sid => $login->{sid}, at_hash => half_hash($alg, $with->{access_token}), nonce => $with->{nonce},
    );
    my $payload = OIDC::Provider::Keys::document(\%claims, set => $knobs->{claims}, map { $_ => $knobs->{$_} } qw(drop json append));
    # The lie may need the code or the access token of this very login.
    $payload =~ s/%%C_HASH%%/half_hash($alg, $with->{code})/ge if defined $with->{code};
    return $self->{keys}->token($payload, client_secret => $config->{client_secret}, alg => $alg, map { $_ => $knobs->{$_} }
            grep { defined $knobs->{$_} } qw(key header header_json header_append header_text payload hmac signature mangle));
}

# Any other token of this provider, for logout and bearer tests.
sub sign {
    my ($self, $claims, $how) = @_;
    my $payload = OIDC::Provider::Keys::document($claims, map { $_ => $how->{$_} } qw(drop json append));
    my %all = (alg => $self->{config}{algs}[0], %$how);
    return $self->made($self->{keys}->token($payload, client_secret => $self->{config}{client_secret}, %all));
}

# ---- what tokens are good for ---------------------------------------------------------------------------------------

sub at_userinfo {
    my ($self, $request, $knobs) = @_;
    my ($token) = ($request->{headers}{authorization} // '') =~ /^Bearer (\S+)$/;
    if (!$token || !$self->{access}{$token}) {
        $request->{refused} = 'access token';
        return { status => 401, body => '', type => 'text/plain', headers => { 'WWW-Authenticate' => 'Bearer error="invalid_token"' } };
    }
    my %claims = (%{ $self->{config}{user} }, %{ $self->{config}{userinfo} || {} });
    my $change = $knobs->{userinfo} || {};
    return { json => \%claims } unless $change->{jwt};
    my %signed = (%claims, iss => $self->{config}{issuer}, aud => $self->{config}{client_id});
    my $text = OIDC::Provider::Keys::document(\%signed, map { $_ => $change->{$_} } qw(set drop json append));
    return { body => $self->{keys}->token($text, client_secret => $self->{config}{client_secret}, ref $change->{jwt} ? %{ $change->{jwt} } : ()), type => 'application/jwt' };
}

sub at_introspect {
    my ($self, $request) = @_;
    my $refused = $self->refuse_client($request);
    return $refused if $refused;
    my $config = $self->{config};
    return { json => { active => JSON::PP::false } } unless $self->{access}{ $request->{form}{token} // '' };
    return { json => { active => JSON::PP::true, sub => $config->{user}{sub}, aud => $config->{client_id}, iss => $config->{issuer}, exp => time + 600, scope => 'openid' } };
}

# RFC 7009: unknown tokens are as good as revoked.
sub at_revoke {
    my ($self, $request) = @_;
    my $refused = $self->refuse_client($request);
    return $refused if $refused;
    delete $self->{$_}{ $request->{form}{token} // '' } for qw(access refresh);
    return { body => '', type => 'text/plain' };
}

# Session Management 1.0: the provider's frame asks for each message whether the state is still the same; signing out changes it.
sub at_check_session {
    return { type => 'text/html', body => <<'END' };
<!DOCTYPE html><script>
addEventListener('message', async (message) => {
  const asked = `session_state?m=${encodeURIComponent(message.data)}&o=${encodeURIComponent(message.origin)}`;
  message.source.postMessage(await (await fetch(asked)).text(), message.origin);
});
</script>
END
}

sub at_session_state {
    my ($self, $request) = @_;
    my $right = ($request->{query}{m} // '') eq "$self->{config}{client_id} hash.salt";
    return { type => 'text/plain', body => !$right ? 'error' : $self->{signed_out} ? 'changed' : 'unchanged' };
}

# OpenID RP-Initiated Logout: back only to a registered address.
sub at_end_session {
    my ($self, $request) = @_;
    my $query = { %{ $request->{query} }, %{ $request->{form} } };
    my $back = $query->{post_logout_redirect_uri};
    $self->{signed_out} = 1;
    return { body => "signed out\n", type => 'text/plain' } unless defined $back;
    my $allowed = $self->{config}{post_logout_redirect_uris};
    return page($request, "post_logout_redirect_uri $back is not registered") if $allowed && !grep { $_ eq $back } @$allowed;
    return page($request, 'neither client_id nor id_token_hint') unless defined $query->{client_id} || defined $query->{id_token_hint};
    return { status => 302, headers => { Location => join_query($back, form_encode({ state => $query->{state} })) }, body => '', type => 'text/plain' };
}

1;
