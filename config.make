# Read by nginx's auto/make after `config`: what its makefile cannot know about C++.
# -std= must not reach the generated C file of the module, so it is given per object; header dependencies come from
# the compiler, so that a changed header rebuilds only what includes it.
auth_oidc_objs=
for auth_oidc_src in $ngx_addon_dir/src/oidc/*.cpp $ngx_addon_dir/src/ngx/*.cpp; do
    auth_oidc_folder=`dirname $auth_oidc_src`
    auth_oidc_obj=$NGX_OBJS/addon/`basename $auth_oidc_folder`/`basename $auth_oidc_src .cpp`
    auth_oidc_objs="$auth_oidc_objs $auth_oidc_obj.$ngx_objext"
    echo "-include $auth_oidc_obj.d" >> $NGX_MAKEFILE
done

cat << END >> $NGX_MAKEFILE

$auth_oidc_objs: CFLAGS += -std=c++17 -MMD -MP
$NGX_OBJS/ngx_http_auth_oidc_module.so: $ngx_addon_dir/pkg/exports.map
END
